/** Points in time and spans of it, as Kafka's tools take them. */

import { InvalidArgumentError } from "commander";

const DATE_TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?$/;
const DURATION = /^P(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$/i;

/** ISO 8601; UTC where it names no zone. In ms since 1970. */
export function dateTime(text: string): number {
  const zoned = /(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(text.slice(10));
  const zone = text.includes("T") && !zoned ? "Z" : "";
  const iso = `${text}${zone}`.replace(/([+-]\d\d)$/, "$1:00");
  const ms = DATE_TIME.test(text) ? Date.parse(text.includes("T") ? iso : text) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new InvalidArgumentError(
    "Give a time as 2026-03-01T12:30:00.000 (UTC) or 2026-03-01T12:30:00+02:00.",
  );
}

/** ISO 8601's days, hours, minutes and seconds: `P1DT2H`, `PT0.5S`. In ms. */
export function duration(text: string): number {
  const found = DURATION.exec(text);
  const parts = (found ?? []).slice(1).map((part) => (part === undefined ? 0 : Number(part)));
  const isEmpty = found === null || found.slice(1).every((part) => part === undefined);
  if (isEmpty) throw new InvalidArgumentError("Give a duration as PT10M (minutes), PT1H30M or P1D (days).");
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts;
  return Math.round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000);
}

/** An age as people read it: `0.4 s`, `12 s`, `3 min 20 s`, `5 h 2 min`, `4 d 3 h`. */
export function ageText(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ] as const;
  const first = units.findIndex(([, size]) => seconds >= size);
  let rest = Math.floor(seconds);
  const parts: string[] = [];
  for (const [unit, size] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${unit}`);
    rest -= count * size;
  }
  return parts.join(" ");
}
