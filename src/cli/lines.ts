/** Lines of a stream as bytes: what a line contains is no business of ours. */

import { CliError } from "./errors.ts";

const NEWLINE = 0x0a;

/**
 * Each line without its newline; a last line without one counts if it is not empty.
 *
 * @param lineBytesMax a longer line is an error, so that a file without newlines does not fill the memory
 */
export async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<Buffer, void, undefined> {
  let begun: Buffer[] = [];
  let begunBytes = 0;
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
      const rest = bytes.subarray(from, at);
      checkLength(begunBytes + rest.length, lineBytesMax);
      yield begun.length === 0 ? rest : Buffer.concat([...begun, rest]);
      begun = [];
      begunBytes = 0;
      from = at + 1;
    }
    begun.push(bytes.subarray(from));
    begunBytes += bytes.length - from;
    checkLength(begunBytes, lineBytesMax);
  }
  if (begunBytes > 0) yield Buffer.concat(begun);
}

function checkLength(bytes: number, max: number): void {
  if (bytes > max) throw new CliError(`A line is longer than ${max} bytes, the most that a record may have.`);
}
