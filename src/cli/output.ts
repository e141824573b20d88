/** What commands print as data. */

import { once } from "node:events";

/** The reader of stdout has gone, as in `edgelog consume … | head`: a reason to stop, not a failure. */
export class OutputClosedError extends Error {
  constructor() {
    super("stdout is closed");
    this.name = "OutputClosedError";
  }
}

/** Writes to stdout and waits while its reader is slower than we are. */
export async function print(data: string | Uint8Array): Promise<void> {
  const { stdout } = process;
  if (stdout.errored !== null || stdout.destroyed) throw new OutputClosedError();
  if (stdout.write(data)) return;
  try {
    await once(stdout, "drain");
  } catch {
    throw new OutputClosedError();
  }
}

export function printLine(text: string): Promise<void> {
  return print(`${text}\n`);
}

export function printJson(value: unknown): Promise<void> {
  return printLine(JSON.stringify(value));
}

/** Tells the user something that is not data. */
export function note(message: string): void {
  process.stderr.write(`${message}\n`);
}

/** Rows as columns of equal width, two spaces apart. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
