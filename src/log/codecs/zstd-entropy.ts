/** The entropy coders of Zstandard (RFC 8878, section 4): bits that are read backwards, FSE tables, Huffman tables. */

import { malformed } from "./problems.ts";

export const HUFFMAN_BITS_MAX = 11;
const HUFFMAN_WEIGHTS_MAX = 255;
const HUFFMAN_WEIGHTS_ACCURACY_MAX = 6;

/** A stream that is written forwards and read from its end; its last byte's highest bit marks where it ends. */
export class BackwardBits {
  readonly bytes: Uint8Array;
  readonly start: number;
  /** Bits that are left; below 0 when more was read than there was, which yields zeros. */
  left: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? (bytes[end - 1] ?? 0) : 0;
    if (last === 0) throw malformed("zstd", "a bit stream has no end");
    this.bytes = bytes;
    this.start = start;
    this.left = (end - start) * 8 - Math.clz32(last) + 23;
  }

  /** The next `count` bits, at most 16, without moving on. */
  peek(count: number): number {
    const { bytes } = this;
    const from = this.left - count;
    const mask = (1 << count) - 1;
    if (from < 0) {
      if (this.left <= 0) return 0;
      const low = (bytes[this.start] ?? 0) | ((bytes[this.start + 1] ?? 0) << 8);
      return (low << -from) & mask;
    }
    const at = this.start + (from >>> 3);
    const three = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    return (three >>> (from & 7)) & mask;
  }

  /** The next `count` bits, at most 16. */
  read(count: number): number {
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  /** The next `count` bits, at most 31. */
  readLong(count: number): number {
    return count <= 16 ? this.read(count) : (this.read(count - 16) << 16) | this.read(16);
  }
}

/** A finite state entropy decoder: what a state means, and what the state after it is (plus so many bits read). */
export interface FseTable {
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** @param frequencies how often each symbol occurs of `2 ** accuracy` times; -1: less than once. */
export function fseTable(frequencies: ArrayLike<number>, accuracy: number): FseTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  const next = new Uint16Array(frequencies.length);
  let high = size;
  for (let symbol = 0; symbol < frequencies.length; symbol++) {
    if (frequencies[symbol] !== -1) continue;
    symbols[--high] = symbol;
    next[symbol] = 1;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let symbol = 0; symbol < frequencies.length; symbol++) {
    const frequency = frequencies[symbol] ?? 0;
    if (frequency <= 0) continue;
    next[symbol] = frequency;
    for (let count = 0; count < frequency; count++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  for (let state = 0; state < size; state++) {
    const symbol = symbols[state] ?? 0;
    const count = next[symbol] ?? 0;
    next[symbol] = count + 1;
    const stateBits = accuracy - (31 - Math.clz32(count));
    bits[state] = stateBits;
    bases[state] = (count << stateBits) - size;
  }
  return { accuracy, symbols, bits, bases };
}

/** The table that has only this symbol. */
export function singleSymbolTable(symbol: number): FseTable {
  return {
    accuracy: 0,
    symbols: new Uint8Array([symbol]),
    bits: new Uint8Array(1),
    bases: new Uint16Array(1),
  };
}

/** Reads a table's description in `bytes[start, end)`; returns the position after it too. */
export function readFseTable(
  bytes: Uint8Array,
  start: number,
  end: number,
  accuracyMax: number,
  symbolMax: number,
): { table: FseTable; position: number } {
  const accuracy = ((bytes[start] ?? 0) & 15) + 5;
  if (start >= end || accuracy > accuracyMax) throw malformed("zstd", "an FSE table cannot be");
  const frequencies: number[] = [];
  let bit = start * 8 + 4;
  const read = (count: number) => {
    const at = bit >>> 3;
    const three = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    bit += count;
    return (three >>> ((bit - count) & 7)) & ((1 << count) - 1);
  };
  let remaining = 1 << accuracy;
  while (remaining > 0) {
    if (frequencies.length > symbolMax) throw malformed("zstd", "an FSE table has too many symbols");
    const count = 32 - Math.clz32(remaining + 1);
    const low = (1 << (count - 1)) - 1;
    const spare = (1 << count) - 2 - remaining;
    let value = read(count);
    if ((value & low) < spare) {
      bit--;
      value &= low;
    } else if (value > low) {
      value -= spare;
    }
    const frequency = value - 1;
    remaining -= Math.abs(frequency);
    frequencies.push(frequency);
    if (frequency !== 0) continue;
    for (let repeat = 3; repeat === 3; ) {
      repeat = read(2);
      for (let index = 0; index < repeat; index++) frequencies.push(0);
      if (frequencies.length > symbolMax) throw malformed("zstd", "an FSE table has too many symbols");
    }
  }
  const position = (bit + 7) >>> 3;
  if (remaining < 0 || position > end) throw malformed("zstd", "an FSE table does not add up");
  return { table: fseTable(frequencies, accuracy), position };
}

/** `symbols` and `lengths` by the next `bitsMax` bits of a stream. */
export interface HuffmanTable {
  readonly bitsMax: number;
  readonly symbols: Uint8Array;
  readonly lengths: Uint8Array;
}

/** Reads a table's description in `bytes[start, end)`; returns the position after it too. */
export function readHuffmanTable(
  bytes: Uint8Array,
  start: number,
  end: number,
): { table: HuffmanTable; position: number } {
  const header = bytes[start] ?? 0;
  const size = header < 128 ? header : (header - 126) >>> 1;
  const position = start + 1 + size;
  if (start >= end || position > end) throw malformed("zstd", "a Huffman table is cut short");
  const weights =
    header < 128
      ? compressedWeights(bytes, start + 1, position)
      : Array.from({ length: header - 127 }, (_, index) => {
          const byte = bytes[start + 1 + (index >>> 1)] ?? 0;
          return (index & 1) === 0 ? byte >>> 4 : byte & 15;
        });
  return { table: huffmanTable(weights), position };
}

function compressedWeights(bytes: Uint8Array, start: number, end: number): number[] {
  const { table, position } = readFseTable(
    bytes,
    start,
    end,
    HUFFMAN_WEIGHTS_ACCURACY_MAX,
    HUFFMAN_WEIGHTS_MAX,
  );
  const stream = new BackwardBits(bytes, position, end);
  const weights: number[] = [];
  let state = stream.read(table.accuracy);
  let other = stream.read(table.accuracy);
  if (stream.left < 0) throw malformed("zstd", "a Huffman table is cut short");
  // Two states take turns; what the last one still means comes after the bits have run out.
  while (weights.length < HUFFMAN_WEIGHTS_MAX) {
    weights.push(table.symbols[state] ?? 0);
    const next = (table.bases[state] ?? 0) + stream.read(table.bits[state] ?? 0);
    if (stream.left < 0) {
      weights.push(table.symbols[other] ?? 0);
      return weights;
    }
    state = other;
    other = next;
  }
  throw malformed("zstd", "a Huffman table has too many symbols");
}

/** The last symbol's weight is what is missing to a power of two. */
function huffmanTable(weights: number[]): HuffmanTable {
  let sum = 0;
  for (const weight of weights) {
    if (weight > HUFFMAN_BITS_MAX) throw malformed("zstd", "a Huffman code is too long");
    sum += (1 << weight) >>> 1;
  }
  const bitsMax = 32 - Math.clz32(sum);
  const size = 1 << bitsMax;
  const missing = size - sum;
  if (sum === 0 || bitsMax > HUFFMAN_BITS_MAX || (missing & (missing - 1)) !== 0) {
    throw malformed("zstd", "a Huffman table does not add up");
  }
  const all = [...weights, 32 - Math.clz32(missing)];
  if (all.length > 256) throw malformed("zstd", "a Huffman table has too many symbols");
  const symbols = new Uint8Array(size);
  const lengths = new Uint8Array(size);
  // The longest codes, of the lowest weight, come first.
  let at = 0;
  for (let weight = 1; weight <= bitsMax; weight++) {
    const places = (1 << weight) >>> 1;
    for (let symbol = 0; symbol < all.length; symbol++) {
      if (all[symbol] !== weight) continue;
      symbols.fill(symbol, at, at + places);
      lengths.fill(bitsMax + 1 - weight, at, at + places);
      at += places;
    }
  }
  return { bitsMax, symbols, lengths };
}
