/**
 * CRC-32C (Castagnoli), the checksum of record batches. Slicing by 16: sixteen table look-ups take sixteen bytes at a
 * time; `bench/crc32c.ts` holds it against the alternatives. WebAssembly is none of them: a Worker may not compile
 * WebAssembly from bytes, and the browser bundle of this file is the same file.
 */

/** Castagnoli's polynomial, bits reversed. */
const POLYNOMIAL = 0x82f6_3b78;
const SLICES = 16;
const CHUNK_WORDS = 64;
const TABLE = makeTable();

/**
 * The CRC-32C of `bytes[start, end)` as an unsigned 32-bit number.
 *
 * `crc32c(new TextEncoder().encode("123456789")) === 0xe3069283`
 */
export function crc32c(bytes: Uint8Array, start: number = 0, end: number = bytes.length): number {
  // Words are read where they are aligned.
  const aligned = start + (-(bytes.byteOffset + start) & 3);
  const blocks = Math.max(0, Math.floor((end - aligned) / SLICES));
  if (blocks === 0) return ~byteByByte(-1, bytes, start, end) >>> 0;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + aligned, blocks * (SLICES / 4));
  const crc = blockByBlock(byteByByte(-1, bytes, start, aligned), words);
  return ~byteByByte(crc, bytes, aligned + blocks * SLICES, end) >>> 0;
}

function blockByBlock(before: number, words: Int32Array): number {
  let crc = before;
  for (let from = 0; from < words.length; from += CHUNK_WORDS) {
    crc = chunk(crc, words, from, Math.min(from + CHUNK_WORDS, words.length));
  }
  return crc;
}

/**
 * The work is done by functions that are called often, and not by one that loops for long: V8 compiles a long loop while it
 * runs for the first time, and what comes after it, never seen yet, as "give up here". Where all of this was one function,
 * about one isolate in ten was left with slow code for good, in which 64 KB took 1.6 ms instead of 30 µs.
 */
function chunk(before: number, words: Int32Array, from: number, to: number): number {
  let crc = before;
  for (let at = from; at < to; at += SLICES / 4) {
    crc = block(crc ^ (words[at] ?? 0), words[at + 1] ?? 0, words[at + 2] ?? 0, words[at + 3] ?? 0);
  }
  return crc;
}

/** Four words, little-endian as every machine is that JavaScript runs on. Small enough for V8 to put it into the loop. */
function block(a: number, b: number, c: number, d: number): number {
  const table = TABLE;
  return (
    (table[15 * 256 + (a & 0xff)] ?? 0) ^
    (table[14 * 256 + ((a >>> 8) & 0xff)] ?? 0) ^
    (table[13 * 256 + ((a >>> 16) & 0xff)] ?? 0) ^
    (table[12 * 256 + (a >>> 24)] ?? 0) ^
    (table[11 * 256 + (b & 0xff)] ?? 0) ^
    (table[10 * 256 + ((b >>> 8) & 0xff)] ?? 0) ^
    (table[9 * 256 + ((b >>> 16) & 0xff)] ?? 0) ^
    (table[8 * 256 + (b >>> 24)] ?? 0) ^
    (table[7 * 256 + (c & 0xff)] ?? 0) ^
    (table[6 * 256 + ((c >>> 8) & 0xff)] ?? 0) ^
    (table[5 * 256 + ((c >>> 16) & 0xff)] ?? 0) ^
    (table[4 * 256 + (c >>> 24)] ?? 0) ^
    (table[3 * 256 + (d & 0xff)] ?? 0) ^
    (table[2 * 256 + ((d >>> 8) & 0xff)] ?? 0) ^
    (table[256 + ((d >>> 16) & 0xff)] ?? 0) ^
    (table[d >>> 24] ?? 0)
  );
}

function byteByByte(before: number, bytes: Uint8Array, start: number, end: number): number {
  let crc = before;
  for (let at = start; at < end; at++) crc = (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc;
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
    const shorter = table[index - 256] ?? 0;
    table[index] = (shorter >>> 8) ^ (table[shorter & 0xff] ?? 0);
  }
  return table;
}
