/**
 * The zig-zag varints of records (Kafka's `ByteUtils.writeVarint` and `writeVarlong`): small magnitudes take few bytes,
 * seven bits a byte, the low ones first. Not the unsigned varints of Kafka's flexible protocol versions.
 */

import { EdgelogError } from "../model/errors.ts";

const VARINT_BYTES_MAX = 5;
const VARLONG_BYTES_MAX = 10;

/** Bytes that {@link writeVarint} takes for an int32. */
export function sizeOfVarint(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x20_0000) return 3;
  return zigzag < 0x1000_0000 ? 4 : 5;
}

/** Writes an int32 at `position` and returns the position after it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  let at = position;
  while (zigzag >= 0x80) {
    bytes[at++] = zigzag | 0x80;
    zigzag >>>= 7;
  }
  bytes[at++] = zigzag;
  return at;
}

/** Bytes that {@link writeVarlong} takes for a safe integer. */
export function sizeOfVarlong(value: number): number {
  if (value === (value | 0)) return sizeOfVarint(value);
  // Of the zig-zag form without its lowest bit, so that it stays a safe integer.
  let half = value < 0 ? -value - 1 : value;
  let size = 1;
  for (half = Math.floor(half / 0x40); half > 0; half = Math.floor(half / 0x80)) size++;
  return size;
}

/** Writes a safe integer as an int64 at `position` and returns the position after it. */
export function writeVarlong(bytes: Uint8Array, position: number, value: number): number {
  if (value === (value | 0)) return writeVarint(bytes, position, value);
  const negative = value < 0;
  let half = negative ? -value - 1 : value;
  let at = position;
  let group = (half % 0x40) * 2 + (negative ? 1 : 0);
  half = Math.floor(half / 0x40);
  while (half > 0) {
    bytes[at++] = group | 0x80;
    group = half % 0x80;
    half = Math.floor(half / 0x80);
  }
  bytes[at++] = group;
  return at;
}

/** Reads varints one after another and never past `end`. What is malformed throws INVALID_RECORD. */
export class VarintReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  position: number;

  constructor(bytes: Uint8Array, position: number = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  /** A signed byte. */
  readInt8(): number {
    if (this.position >= this.end) throw cutShort();
    return ((this.bytes[this.position++] ?? 0) << 24) >> 24;
  }

  /** An int32 of at most five bytes. */
  readVarint(): number {
    const { bytes, end } = this;
    let at = this.position;
    if (at >= end) throw cutShort();
    const first = bytes[at++] ?? 0;
    if (first < 0x80) {
      this.position = at;
      return (first >>> 1) ^ -(first & 1);
    }
    let zigzag = first & 0x7f;
    for (let shift = 7; ; shift += 7) {
      if (shift >= 7 * VARINT_BYTES_MAX) throw tooLong("varint", VARINT_BYTES_MAX);
      if (at >= end) throw cutShort();
      const byte = bytes[at++] ?? 0;
      zigzag |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    this.position = at;
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  /** An int64 of at most ten bytes; beyond ±(2^53 - 1) is refused, since numbers could not hold it. */
  readVarlong(): number {
    const { bytes, end } = this;
    let at = this.position;
    // 28 bits in each of three parts: every step stays within int32.
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let count = 0; ; count++) {
      if (count >= VARLONG_BYTES_MAX) throw tooLong("varlong", VARLONG_BYTES_MAX);
      if (at >= end) throw cutShort();
      const byte = bytes[at++] ?? 0;
      if (count < 4) low |= (byte & 0x7f) << (7 * count);
      else if (count < 8) middle |= (byte & 0x7f) << (7 * (count - 4));
      else high |= (byte & 0x7f) << (7 * (count - 8));
      if (byte < 0x80) break;
    }
    this.position = at;
    const half = (low >>> 1) + middle * 2 ** 27 + (high & 0xff) * 2 ** 55;
    if (half > Number.MAX_SAFE_INTEGER) {
      throw new EdgelogError(
        "INVALID_RECORD",
        "a 64-bit number of the record lies beyond 2^53, which is not supported",
      );
    }
    return (low & 1) === 1 ? -half - 1 : half;
  }
}

function cutShort(): EdgelogError {
  return new EdgelogError("INVALID_RECORD", "the record is cut short in the middle of a field");
}

function tooLong(what: string, bytesMax: number): EdgelogError {
  return new EdgelogError("INVALID_RECORD", `a ${what} of the record is longer than ${bytesMax} bytes`);
}
