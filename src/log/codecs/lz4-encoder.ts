/**
 * Writes LZ4 frames as the Java client does: independent blocks of 64 KiB, no checksums (the batch has its CRC-32C).
 * Each block is compressed greedily: at every place the last one with the same hash of four bytes is tried.
 */

const BLOCK_BYTES = 64 * 1024;
/** The magic, version 1 with independent blocks, blocks of 64 KiB, and the checksum of these two bytes. */
const FRAME_HEADER = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const END_MARK_BYTES = 4;
const SIZE_BYTES = 4;
const UNCOMPRESSED = 0x8000_0000;

const MATCH_BYTES_MIN = 4;
/** A block ends with so many literals, and its last match begins so long before its end. */
const LAST_LITERALS = 5;
const LAST_MATCH_BYTES = 12;
const HASH_BITS = 13;
const HASH_PRIME = 0x9e37_79b1;
/** After so many misses in a row places are left out, more and more: what does not compress is soon through. */
const MISSES_PER_STEP_BITS = 6;

export function lz4(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = Math.ceil(bytes.length / BLOCK_BYTES);
  const output = new Uint8Array(
    FRAME_HEADER.length + bytes.length + blocks * (SIZE_BYTES + boundOfExcess(BLOCK_BYTES)) + END_MARK_BYTES,
  );
  const view = new DataView(output.buffer);
  const places = new Uint16Array(1 << HASH_BITS);
  output.set(FRAME_HEADER);
  let to = FRAME_HEADER.length;
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const block = bytes.subarray(from, from + BLOCK_BYTES);
    const size = compressBlock(block, places, output, to + SIZE_BYTES);
    if (size < block.length) {
      view.setUint32(to, size, true);
      to += SIZE_BYTES + size;
    } else {
      view.setUint32(to, UNCOMPRESSED + block.length, true);
      output.set(block, to + SIZE_BYTES);
      to += SIZE_BYTES + block.length;
    }
  }
  // A block that did not become smaller has left something here.
  view.setUint32(to, 0, true);
  return output.slice(0, to + END_MARK_BYTES);
}

/** What a block that does not compress grows by, at most. */
function boundOfExcess(length: number): number {
  return Math.ceil(length / 255) + 16;
}

/** Returns how many bytes it has written from `start` on. */
function compressBlock(block: Uint8Array, places: Uint16Array, output: Uint8Array, start: number): number {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const matchesEnd = block.length - LAST_LITERALS;
  places.fill(0);
  let to = start;
  let literalsFrom = 0;
  let misses = 0;
  for (let at = 0; at <= block.length - LAST_MATCH_BYTES; ) {
    const word = view.getUint32(at, true);
    const hash = Math.imul(word, HASH_PRIME) >>> (32 - HASH_BITS);
    const earlier = places[hash] ?? 0;
    places[hash] = at;
    if (earlier >= at || view.getUint32(earlier, true) !== word) {
      at += 1 + (misses++ >>> MISSES_PER_STEP_BITS);
      continue;
    }
    let length = MATCH_BYTES_MIN;
    while (at + length < matchesEnd && block[at + length] === block[earlier + length]) length++;
    to = writeLiterals(block.subarray(literalsFrom, at), length - MATCH_BYTES_MIN, output, to);
    output[to++] = (at - earlier) & 0xff;
    output[to++] = (at - earlier) >>> 8;
    to = writeRest(length - MATCH_BYTES_MIN, output, to);
    at += length;
    literalsFrom = at;
    misses = 0;
  }
  return writeLiterals(block.subarray(literalsFrom), 0, output, to) - start;
}

/** The token, what does not fit into it of the number of literals, and the literals. */
function writeLiterals(literals: Uint8Array, matchLength: number, output: Uint8Array, start: number): number {
  output[start] = (Math.min(literals.length, 15) << 4) | Math.min(matchLength, 15);
  const to = writeRest(literals.length, output, start + 1);
  output.set(literals, to);
  return to + literals.length;
}

/** What of a length is beyond the 15 that its half of the token says. */
function writeRest(length: number, output: Uint8Array, start: number): number {
  if (length < 15) return start;
  let to = start;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) output[to++] = 255;
  output[to++] = rest;
  return to;
}
