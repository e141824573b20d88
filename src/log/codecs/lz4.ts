/**
 * LZ4 frames (frame format 1.6), one or several, blocks independent or linked.
 *
 * Written here because no kept library decodes frames in a Worker, which may not compile WebAssembly from bytes: those in
 * JavaScript check neither lengths nor offsets. Each block is measured before its output is allocated. Checksums are not
 * verified: the batch's CRC-32C covers these bytes.
 */

import { malformed, tooMuchOutput } from "./problems.ts";

const FRAME_MAGIC = 0x184d_2204;
const SKIPPABLE_MAGIC = 0x184d_2a50;
const UNCOMPRESSED = 0x8000_0000;
const BLOCK_BYTES_MAX_BY_ID: Readonly<Record<number, number>> = {
  4: 64 * 1024,
  5: 256 * 1024,
  6: 1024 * 1024,
  7: 4 * 1024 * 1024,
};
const MATCH_LENGTH_MIN = 4;
/** From here on the platform's own copying is faster than a loop. */
const LONG_COPY_BYTES = 24;

interface Block {
  readonly start: number;
  readonly end: number;
  readonly compressed: boolean;
  /** What it decompresses to. */
  readonly length: number;
}

/** @throws {EdgelogError} MESSAGE_TOO_LARGE beyond `bytesMax`, INVALID_RECORD if it is not LZ4. */
export function unlz4(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const blocks: Block[] = [];
  let length = 0;
  for (const block of frameBlocks(bytes)) {
    length += block.length;
    if (length > bytesMax) throw tooMuchOutput();
    blocks.push(block);
  }
  const output = new Uint8Array(length);
  let at = 0;
  for (const { start, end, compressed, length: blockLength } of blocks) {
    if (compressed) unlz4Block(bytes, start, end, output, at);
    else output.set(bytes.subarray(start, end), at);
    at += blockLength;
  }
  return output;
}

function* frameBlocks(bytes: Uint8Array): Generator<Block, void, undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    for (let at = 0; at < bytes.length; ) {
      const magic = view.getUint32(at, true);
      if (magic >>> 4 === SKIPPABLE_MAGIC >>> 4) at += 8 + view.getUint32(at + 4, true);
      else if (magic === FRAME_MAGIC) at = yield* blocksOf(view, bytes, at + 4);
      else throw malformed("lz4", "no frame begins where one should");
    }
  } catch (error) {
    throw error instanceof RangeError ? malformed("lz4", "it is cut short", error) : error;
  }
}

function* blocksOf(view: DataView, bytes: Uint8Array, start: number): Generator<Block, number, undefined> {
  const flags = view.getUint8(start);
  const blockBytesMax = BLOCK_BYTES_MAX_BY_ID[(view.getUint8(start + 1) >>> 4) & 0b111];
  if (flags >>> 6 !== 1 || blockBytesMax === undefined) throw malformed("lz4", "its frame has no known form");
  if ((flags & 0b1) !== 0) throw malformed("lz4", "it needs a dictionary");
  const blockChecksumBytes = (flags & 0b1_0000) === 0 ? 0 : 4;
  const contentSizeBytes = (flags & 0b1000) === 0 ? 0 : 8;
  const contentChecksumBytes = (flags & 0b100) === 0 ? 0 : 4;
  // The flags, the block size, the content's size and the header's checksum.
  let at = start + 2 + contentSizeBytes + 1;
  for (;;) {
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const compressed = word < UNCOMPRESSED;
    const size = compressed ? word : word - UNCOMPRESSED;
    const end = at + size;
    if (end > bytes.length) throw malformed("lz4", "a block is cut short");
    const length = compressed ? measureBlock(bytes, at, end) : size;
    if (length > blockBytesMax) throw malformed("lz4", "a block is larger than its frame says");
    yield { start: at, end, compressed, length };
    at = end + blockChecksumBytes;
  }
  return at + contentChecksumBytes;
}

/** What a block decompresses to; so that afterwards only its offsets have to be checked. */
function measureBlock(bytes: Uint8Array, start: number, end: number): number {
  let length = 0;
  for (let at = start; at < end; ) {
    const token = bytes[at++] ?? 0;
    let literals = token >>> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255 && at < end) literals += more = bytes[at++] ?? 0;
    }
    at += literals;
    length += literals;
    if (at === end) return length;
    at += 2;
    let match = (token & 15) + MATCH_LENGTH_MIN;
    if (match === 15 + MATCH_LENGTH_MIN) {
      let more = 255;
      while (more === 255 && at < end) match += more = bytes[at++] ?? 0;
    }
    length += match;
    if (at >= end) break;
  }
  throw malformed("lz4", "a block does not end with literals");
}

/** Decompresses a measured block to `output` at `outputStart`; what lies before it may be referred to. */
function unlz4Block(
  bytes: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
  outputStart: number,
): void {
  let at = start;
  let to = outputStart;
  while (at < end) {
    const token = bytes[at++] ?? 0;
    let literals = token >>> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) literals += more = bytes[at++] ?? 0;
    }
    if (literals > LONG_COPY_BYTES) {
      output.set(bytes.subarray(at, at + literals), to);
      at += literals;
      to += literals;
    } else {
      for (const literalsEnd = at + literals; at < literalsEnd; ) output[to++] = bytes[at++] ?? 0;
    }
    if (at >= end) return;
    const offset = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    at += 2;
    let match = (token & 15) + MATCH_LENGTH_MIN;
    if (match === 15 + MATCH_LENGTH_MIN) {
      let more = 255;
      while (more === 255) match += more = bytes[at++] ?? 0;
    }
    if (offset === 0 || offset > to) throw malformed("lz4", "it refers to bytes before its beginning");
    const from = to - offset;
    if (match > LONG_COPY_BYTES && offset >= match) output.copyWithin(to, from, from + match);
    else for (let index = 0; index < match; index++) output[to + index] = output[from + index] ?? 0;
    to += match;
  }
}
