import { isReached, type TargetResult } from "./question.ts";
import { numberText, type Table } from "./table.ts";

export function targetsTable(targets: readonly TargetResult[]): Table {
  const rows = targets.map((result) => {
    const { target, measured, bound, unit, note = "" } = result;
    const wanted = "atLeast" in bound ? `≥ ${numberText(bound.atLeast)}` : `≤ ${numberText(bound.atMost)}`;
    const text = (value: string) => (unit === undefined ? value : `${value} ${unit}`);
    const reached = measured === undefined ? "not measured" : isReached(result) ? "yes" : "no";
    return [
      target,
      text(wanted),
      measured === undefined ? undefined : text(numberText(measured)),
      reached,
      note,
    ];
  });
  return { title: "Targets", columns: ["target", "wanted", "measured", "reached", "note"], rows };
}
