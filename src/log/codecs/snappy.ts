/**
 * Snappy, both ways in which producers send it: in the frames of xerial's snappy-java (the Java client: a header, then
 * blocks with their lengths) and as one raw block (librdkafka and others).
 */

import { uncompress } from "snappyjs";
import { OutputPieces } from "./output-pieces.ts";
import { malformed, tooMuchOutput } from "./problems.ts";

const XERIAL_MAGIC = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00];
/** The magic, a version and the oldest version that can read it. */
const XERIAL_HEADER_BYTES = 16;
const BLOCK_LENGTH_BYTES = 4;

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

function unsnappyBlock(block: Uint8Array, bytesMax: number): Uint8Array {
  const length = declaredLength(block);
  if (length > bytesMax) throw tooMuchOutput(bytesMax);
  try {
    return uncompress(block, bytesMax);
  } catch (error) {
    throw malformed("snappy", String(error), error);
  }
}

/** A block begins with the length of what it holds, an unsigned varint of at most 32 bits. */
function declaredLength(block: Uint8Array): number {
  let length = 0;
  for (let index = 0; index < 5; index++) {
    const byte = block[index];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return length;
  }
  throw malformed("snappy", "a block does not begin with its length");
}
