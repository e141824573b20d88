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

/** Small pieces to stdout in large writes, none of them later than this turn of the event loop. */
export class OutputBuffer {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #scheduled = false;
  #failed: { readonly error: unknown } | undefined;

  /** Waits only when much has come together. */
  async write(piece: Uint8Array): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed.error;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes >= OUTPUT_BUFFER_BYTES) return this.flush();
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush().catch((error: unknown) => {
        this.#failed = { error };
      });
    });
  }

  async flush(): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed.error;
    if (this.#bytes === 0) return;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    await print(Buffer.concat(pieces));
  }
}

const OUTPUT_BUFFER_BYTES = 65_536;

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
