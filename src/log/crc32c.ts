/**
 * CRC-32C (Castagnoli), the checksum of record batches. Slicing by 16: sixteen table look-ups take sixteen bytes at a
 * time; `bench/crc32c.ts` holds it against the alternatives. WebAssembly is none of them: a Worker may not compile
 * WebAssembly from bytes, and the browser bundle of this file is the same file.
 */

/** Castagnoli's polynomial, bits reversed. */
const POLYNOMIAL = 0x82f6_3b78;
const SLICES = 16;
const TABLE = makeTable();

/**
 * The CRC-32C of `bytes[start, end)` as an unsigned 32-bit number.
 *
 * `crc32c(new TextEncoder().encode("123456789")) === 0xe3069283`
 */
export function crc32c(bytes: Uint8Array, start: number = 0, end: number = bytes.length): number {
  const table = TABLE;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = -1;
  let at = start;
  for (const last = end - SLICES; at <= last; at += SLICES) {
    const a = view.getInt32(at, true) ^ crc;
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    crc =
      look(table, 15 * 256 + (a & 0xff)) ^
      look(table, 14 * 256 + ((a >>> 8) & 0xff)) ^
      look(table, 13 * 256 + ((a >>> 16) & 0xff)) ^
      look(table, 12 * 256 + (a >>> 24)) ^
      look(table, 11 * 256 + (b & 0xff)) ^
      look(table, 10 * 256 + ((b >>> 8) & 0xff)) ^
      look(table, 9 * 256 + ((b >>> 16) & 0xff)) ^
      look(table, 8 * 256 + (b >>> 24)) ^
      look(table, 7 * 256 + (c & 0xff)) ^
      look(table, 6 * 256 + ((c >>> 8) & 0xff)) ^
      look(table, 5 * 256 + ((c >>> 16) & 0xff)) ^
      look(table, 4 * 256 + (c >>> 24)) ^
      look(table, 3 * 256 + (d & 0xff)) ^
      look(table, 2 * 256 + ((d >>> 8) & 0xff)) ^
      look(table, 256 + ((d >>> 16) & 0xff)) ^
      look(table, d >>> 24);
  }
  for (; at < end; at++) crc = look(table, (crc ^ (bytes[at] ?? 0)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function look(table: Int32Array, index: number): number {
  return table[index] ?? 0;
}

/** `TABLE[256 * n + b]` is what the byte `b` does to the CRC when n zero bytes follow it. */
function makeTable(): Int32Array {
  const table = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (POLYNOMIAL & -(crc & 1));
    table[byte] = crc;
  }
  for (let index = 256; index < table.length; index++) {
    const shorter = look(table, index - 256);
    table[index] = (shorter >>> 8) ^ look(table, shorter & 0xff);
  }
  return table;
}
