/** Tables, for a terminal and for Markdown. */

export type Cell = string | number | undefined;

export interface Column {
  readonly name: string;
  /** Digits after the point of its numbers; default: three significant ones. */
  readonly digits?: number;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly (Column | string)[];
  readonly rows: readonly (readonly Cell[])[];
}

export function terminalTable({ title, columns, rows }: Table): string {
  const texts = [
    columns.map(nameOf),
    ...rows.map((row) => columns.map((column, i) => cellText(row[i], column))),
  ];
  const widths = columns.map((_, i) => Math.max(...texts.map((row) => row[i]?.length ?? 0)));
  const isNumeric = columns.map((_, i) => rows.some((row) => typeof row[i] === "number"));
  const lines = texts.map((row) =>
    row
      .map((text, i) => (isNumeric[i] ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  const rule = widths.map((width) => "─".repeat(width)).join("──");
  return [title, ...lines.slice(0, 1), rule, ...lines.slice(1)].join("\n");
}

export function markdownTable({ title, columns, rows }: Table): string {
  const isNumeric = columns.map((_, i) => rows.some((row) => typeof row[i] === "number"));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    `**${title}**`,
    "",
    line(columns.map(nameOf)),
    line(isNumeric.map((numeric) => (numeric ? "--:" : "---"))),
    ...rows.map((row) => line(columns.map((column, i) => cellText(row[i], column)))),
  ].join("\n");
}

/** Three significant digits, thousands apart. */
export function numberText(value: number, digits?: number): string {
  if (!Number.isFinite(value)) return "–";
  const places = digits ?? placesOf(value);
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

function placesOf(value: number): number {
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 100) return 0;
  if (size >= 10) return 1;
  return size >= 1 || size === 0 ? 2 : 3;
}

function cellText(cell: Cell, column: Column | string): string {
  if (cell === undefined) return "–";
  if (typeof cell === "string") return cell;
  return numberText(cell, typeof column === "string" ? undefined : column.digits);
}

function nameOf(column: Column | string): string {
  return typeof column === "string" ? column : column.name;
}
