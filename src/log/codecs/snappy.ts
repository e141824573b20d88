/**
 * Snappy, both ways in which producers send it: in the frames of xerial's snappy-java (the Java client: a header, then
 * blocks with their lengths) and as one raw block (librdkafka and others).
 */

import { compress, uncompress } from "snappyjs";
import { concatBytes } from "../../model/bytes.ts";
import { OutputPieces } from "./output-pieces.ts";
import { malformed, tooMuchOutput } from "./problems.ts";

const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
/** The magic, a version and the oldest version that can read it. */
const XERIAL_HEADER_BYTES = 16;
/** The magic, and twice version 1. */
const XERIAL_HEADER = [...XERIAL_MAGIC, 0, 0, 0, 1, 0, 0, 0, 1];
const BLOCK_LENGTH_BYTES = 4;
/** Of what a block holds, as snappy-java writes them. */
const BLOCK_BYTES = 32 * 1024;
/** Of the varint that begins a raw block. */
const LENGTH_BYTES_MAX = 5;

/** In xerial's frames: every client reads them, and some read nothing else. */
export function snappy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const pieces = [Uint8Array.from(XERIAL_HEADER)];
  for (let from = 0; from < bytes.length; from += BLOCK_BYTES) {
    const block = compress(bytes.subarray(from, from + BLOCK_BYTES));
    const length = new Uint8Array(BLOCK_LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, block.length);
    pieces.push(length, Uint8Array.from(block));
  }
  return concatBytes(pieces);
}

/** @throws {EdgelogError} MESSAGE_TOO_LARGE beyond `bytesMax`, INVALID_RECORD if it is not snappy. */
export function unsnappy(bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (!XERIAL_MAGIC.every((byte, index) => bytes[index] === byte)) return unsnappyBlock(bytes, bytesMax);
  if (bytes.length < XERIAL_HEADER_BYTES) throw malformed("snappy", "its header is cut short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const output = new OutputPieces(bytesMax);
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    if (bytes.length - at < BLOCK_LENGTH_BYTES) throw malformed("snappy", "a block's length is cut short");
    const start = at + BLOCK_LENGTH_BYTES;
    const end = start + view.getUint32(at);
    if (end > bytes.length) throw malformed("snappy", "a block is cut short");
    output.add(unsnappyBlock(bytes.subarray(start, end), output.room));
    at = end;
  }
  return output.joined();
}

/** A block begins with the length of what it holds, an unsigned varint of at most 32 bits. */
function unsnappyBlock(block: Uint8Array, bytesMax: number): Uint8Array {
  let length = 0;
  let at = 0;
  for (let byte = 0x80; byte >= 0x80; at++) {
    if (at === LENGTH_BYTES_MAX || at === block.length)
      throw malformed("snappy", "a block does not begin with its length");
    byte = block[at] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * at);
  }
  if (length > bytesMax) throw tooMuchOutput();
  // The library fills up with zeros what the elements do not give, and drops what is too much.
  if (measureElements(block, at) !== length) throw malformed("snappy", "a block does not hold what it says");
  try {
    return uncompress(block, bytesMax);
  } catch (error) {
    throw malformed("snappy", String(error), error);
  }
}

/** How many bytes a block's literals and copies give, without making them; NaN if the last one is cut short. */
function measureElements(block: Uint8Array, start: number): number {
  let length = 0;
  let at = start;
  while (at < block.length) {
    const tag = block[at] ?? 0;
    const size = tag >>> 2;
    switch (tag & 0b11) {
      case 0: {
        const sizeBytes = size < 60 ? 0 : size - 59;
        let literal = size;
        if (sizeBytes > 0) {
          literal = 0;
          for (let index = sizeBytes; index > 0; index--) literal = literal * 256 + (block[at + index] ?? 0);
        }
        length += literal + 1;
        at += 1 + sizeBytes + literal + 1;
        break;
      }
      case 1:
        length += (size & 0b111) + 4;
        at += 2;
        break;
      case 2:
        length += size + 1;
        at += 3;
        break;
      default:
        length += size + 1;
        at += 5;
    }
  }
  return at === block.length ? length : Number.NaN;
}
