/**
 * Walks Zstandard frames (RFC 8878, section 3) without decompressing them: what a frame's header says is held against
 * the bound first, and decoders differ in what they do after the first frame, so they get one at a time.
 */

import { malformed, tooMuchOutput } from "./problems.ts";

export const BLOCK_BYTES_MAX = 128 * 1024;
export const BLOCK_RAW = 0;
export const BLOCK_RLE = 1;
const BLOCK_COMPRESSED = 2;
const FRAME_MAGIC = 0xfd2f_b528;
const SKIPPABLE_MAGIC = 0x184d_2a50;
/** Producers write one; each costs its reader a start. */
const FRAMES_MAX = 1_000;

/** A frame that is whole and says that it holds no more than its reader allows. */
export interface ZstdFrame {
  readonly bytes: Uint8Array;
  /** Where the first block begins. */
  readonly blocksStart: number;
  /** What a reader keeps of what came before, unless it keeps the whole content anyway. */
  readonly windowBytes: number;
  /** What the header says that it holds; undefined if it does not say. */
  readonly contentBytes: number | undefined;
  /** The most that its blocks can hold. */
  readonly contentBytesMax: number;
}

/**
 * Each frame that holds data.
 * @throws {EdgelogError} INVALID_RECORD: no frame, too many, cut short or reserved bits. MESSAGE_TOO_LARGE: it says
 *   that it holds more than `bytesMax`.
 */
export function* zstdFrames(bytes: Uint8Array, bytesMax: number): Generator<ZstdFrame, void, undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frames = 0;
  try {
    for (let at = 0; at < bytes.length; ) {
      const magic = view.getUint32(at, true);
      if (magic >>> 4 === SKIPPABLE_MAGIC >>> 4) {
        at += 8 + view.getUint32(at + 4, true);
        continue;
      }
      if (magic !== FRAME_MAGIC) throw malformed("zstd", "no frame begins where one should");
      if (++frames > FRAMES_MAX) throw malformed("zstd", `it has more than ${FRAMES_MAX} frames`);
      const frame = frameAt(view, bytes, at, bytesMax);
      yield frame;
      at += frame.bytes.length;
    }
  } catch (error) {
    throw error instanceof RangeError ? malformed("zstd", "it is cut short", error) : error;
  }
}

function frameAt(view: DataView, bytes: Uint8Array, start: number, bytesMax: number): ZstdFrame {
  const descriptor = view.getUint8(start + 4);
  const singleSegment = (descriptor & 0b10_0000) !== 0;
  const hasChecksum = (descriptor & 0b100) !== 0;
  if ((descriptor & 0b1000) !== 0) throw malformed("zstd", "a reserved bit is set");
  if ((descriptor & 0b11) !== 0) throw malformed("zstd", "it needs a dictionary");
  let at = start + 5;
  let windowBytes: number | undefined;
  if (!singleSegment) {
    const window = view.getUint8(at++);
    const base = 2 ** (10 + (window >>> 3));
    windowBytes = base + (base / 8) * (window & 0b111);
  }
  let contentBytes: number | undefined;
  switch (descriptor >>> 6) {
    case 0:
      if (singleSegment) contentBytes = view.getUint8(at++);
      break;
    case 1:
      contentBytes = view.getUint16(at, true) + 256;
      at += 2;
      break;
    case 2:
      contentBytes = view.getUint32(at, true);
      at += 4;
      break;
    default:
      contentBytes = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
      at += 8;
  }
  if (contentBytes !== undefined && contentBytes > bytesMax) throw tooMuchOutput();
  const blocksStart = at - start;
  let contentBytesMax = 0;
  for (let last = false; !last; ) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    last = (header & 1) === 1;
    const type = (header >>> 1) & 0b11;
    const size = header >>> 3;
    if (type > BLOCK_COMPRESSED || size > BLOCK_BYTES_MAX) throw malformed("zstd", "a block cannot be");
    contentBytesMax += type === BLOCK_COMPRESSED ? BLOCK_BYTES_MAX : size;
    at += 3 + (type === BLOCK_RLE ? 1 : size);
  }
  const end = at + (hasChecksum ? 4 : 0);
  if (end > bytes.length) throw malformed("zstd", "it is cut short");
  return {
    bytes: bytes.subarray(start, end),
    blocksStart,
    windowBytes: windowBytes ?? contentBytes ?? 0,
    contentBytes,
    contentBytesMax,
  };
}
