/**
 * Decodes one Zstandard frame (RFC 8878) where there is no `node:zlib`, that is in browsers. Written here because what there
 * is in JavaScript does not end on some malformed input; this checks every length before it copies, so its time is bounded
 * by the bytes that go in and may come out. The frame's checksum is not verified: the batch's CRC-32C covers these bytes.
 */

import { malformed, tooMuchOutput } from "./problems.ts";
import {
  BackwardBits,
  type FseTable,
  fseTable,
  type HuffmanTable,
  readFseTable,
  readHuffmanTable,
  singleSymbolTable,
} from "./zstd-entropy.ts";
import { BLOCK_BYTES_MAX, BLOCK_RAW, BLOCK_RLE, type ZstdFrame } from "./zstd-frames.ts";

/** One of the three codes of a sequence: which values its symbols stand for, and the table to use by default. */
interface SequenceCode {
  readonly accuracyMax: number;
  readonly symbolMax: number;
  readonly predefined: FseTable;
}

const LITERAL_LENGTH_BITS = Uint8Array.of(
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  1,
  1,
  1,
  1,
  2,
  2,
  3,
  3,
  4,
  6,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
);
const MATCH_LENGTH_BITS = Uint8Array.of(
  ...Array<number>(32).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
);
const LITERAL_LENGTH_BASES = basesOf(LITERAL_LENGTH_BITS, 0);
const MATCH_LENGTH_BASES = basesOf(MATCH_LENGTH_BITS, 3);
/** Offsets reach no further back than what may come out, 2^25 bytes. */
const OFFSET_BITS_MAX = 27;

const LITERAL_LENGTHS: SequenceCode = {
  accuracyMax: 9,
  symbolMax: 35,
  predefined: fseTable(
    [
      4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1,
      -1, -1,
    ],
    6,
  ),
};
const OFFSETS: SequenceCode = {
  accuracyMax: 8,
  symbolMax: 31,
  predefined: fseTable(
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
    5,
  ),
};
const MATCH_LENGTHS: SequenceCode = {
  accuracyMax: 9,
  symbolMax: 52,
  predefined: fseTable(
    [1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array<number>(37).fill(1), ...Array<number>(7).fill(-1)],
    6,
  ),
};

/** From here on the platform's own copying is faster than a loop. */
const LONG_COPY_BYTES = 24;

/**
 * The frame's content.
 * @throws {EdgelogError} MESSAGE_TOO_LARGE beyond `bytesMax`, INVALID_RECORD if it is malformed.
 */
export function decodeZstdFrame(frame: ZstdFrame, bytesMax: number): Uint8Array {
  return new FrameDecoder(frame, bytesMax).decode();
}

class FrameDecoder {
  readonly #frame: ZstdFrame;
  readonly #output: Uint8Array;
  #length = 0;
  readonly #literals = new Uint8Array(BLOCK_BYTES_MAX);
  #huffman: HuffmanTable | undefined;
  #literalLengths: FseTable | undefined;
  #offsets: FseTable | undefined;
  #matchLengths: FseTable | undefined;
  /** The three offsets used last. */
  readonly #recent: [number, number, number] = [1, 4, 8];

  constructor(frame: ZstdFrame, bytesMax: number) {
    this.#frame = frame;
    this.#output = new Uint8Array(
      Math.min(frame.contentBytes ?? frame.contentBytesMax, frame.contentBytesMax, bytesMax),
    );
  }

  decode(): Uint8Array {
    const { bytes, blocksStart, contentBytes } = this.#frame;
    let at = blocksStart;
    for (let last = false; !last; ) {
      const header = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
      last = (header & 1) === 1;
      const type = (header >>> 1) & 0b11;
      const size = header >>> 3;
      at += 3;
      if (type === BLOCK_RLE) {
        this.#makeRoom(size);
        this.#output.fill(bytes[at] ?? 0, this.#length, this.#length + size);
        this.#length += size;
        at += 1;
        continue;
      }
      if (type === BLOCK_RAW) {
        this.#makeRoom(size);
        this.#output.set(bytes.subarray(at, at + size), this.#length);
        this.#length += size;
      } else {
        this.#compressedBlock(at, at + size);
      }
      at += size;
    }
    if (contentBytes !== undefined && contentBytes !== this.#length) {
      throw malformed("zstd", "a frame does not hold what it says");
    }
    return this.#output.subarray(0, this.#length);
  }

  /** What comes out was sized by what the frame may hold; so if it is full, the frame holds too much. */
  #makeRoom(count: number): void {
    if (count <= this.#output.length - this.#length) return;
    throw this.#frame.contentBytes === undefined
      ? tooMuchOutput()
      : malformed("zstd", "a frame does not hold what it says");
  }

  #compressedBlock(start: number, end: number): void {
    const { bytes } = this.#frame;
    const { position, count: literals } = this.#readLiterals(start, end);
    let at = position;
    let count = bytes[at++] ?? 0;
    if (at > end) throw malformed("zstd", "a block is cut short");
    if (count >= 255) {
      count = 0x7f00 + (bytes[at] ?? 0) + ((bytes[at + 1] ?? 0) << 8);
      at += 2;
    } else if (count >= 128) {
      count = ((count - 128) << 8) + (bytes[at++] ?? 0);
    }
    if (count === 0) {
      if (at !== end) throw malformed("zstd", "a block is longer than what it holds");
      this.#copyLiterals(0, literals);
      return;
    }
    const modes = bytes[at++] ?? 0;
    if ((modes & 0b11) !== 0) throw malformed("zstd", "a reserved bit is set");
    at = this.#readTable(LITERAL_LENGTHS, modes >>> 6, at, end);
    at = this.#readTable(OFFSETS, (modes >>> 4) & 0b11, at, end);
    at = this.#readTable(MATCH_LENGTHS, (modes >>> 2) & 0b11, at, end);
    if (at > end) throw malformed("zstd", "a block is cut short");
    this.#runSequences(new BackwardBits(bytes, at, end), count, literals);
  }

  /** Leaves the block's literals in `#literals`. */
  #readLiterals(start: number, end: number): { position: number; count: number } {
    const { bytes } = this.#frame;
    const first = bytes[start] ?? 0;
    const type = first & 0b11;
    const format = (first >>> 2) & 0b11;
    const low = first | ((bytes[start + 1] ?? 0) << 8) | ((bytes[start + 2] ?? 0) << 16);
    if (type < 2) {
      const headerBytes = (format & 1) === 0 ? 1 : format === 1 ? 2 : 3;
      const count = headerBytes === 1 ? first >>> 3 : headerBytes === 2 ? (low & 0xffff) >>> 4 : low >>> 4;
      const at = start + headerBytes;
      const position = at + (type === 0 ? count : 1);
      if (position > end || count > BLOCK_BYTES_MAX) throw malformed("zstd", "literals are cut short");
      if (type === 0) this.#literals.set(bytes.subarray(at, position));
      else this.#literals.fill(bytes[at] ?? 0, 0, count);
      return { position, count };
    }
    const sizeBits = format < 2 ? 10 : format === 2 ? 14 : 18;
    const headerBytes = format < 2 ? 3 : format === 2 ? 4 : 5;
    const whole = low + (bytes[start + 3] ?? 0) * 2 ** 24 + (bytes[start + 4] ?? 0) * 2 ** 32;
    const sizes = Math.floor(whole / 16);
    const count = sizes % 2 ** sizeBits;
    const compressedBytes = Math.floor(sizes / 2 ** sizeBits) % 2 ** sizeBits;
    let at = start + headerBytes;
    const position = at + compressedBytes;
    if (position > end || count > BLOCK_BYTES_MAX) throw malformed("zstd", "literals are cut short");
    if (type === 2) {
      const read = readHuffmanTable(bytes, at, position);
      this.#huffman = read.table;
      at = read.position;
    }
    const huffman = this.#huffman;
    if (huffman === undefined) throw malformed("zstd", "a Huffman table is missing");
    if (format === 0) this.#readStream(huffman, at, position, 0, count);
    else this.#readFourStreams(huffman, at, position, count);
    return { position, count };
  }

  #readFourStreams(huffman: HuffmanTable, start: number, end: number, count: number): void {
    const { bytes } = this.#frame;
    const quarter = (count + 3) >>> 2;
    let at = start + 6;
    let from = 0;
    if (at > end || quarter * 3 > count) throw malformed("zstd", "literals are cut short");
    for (let stream = 0; stream < 3; stream++) {
      const size = (bytes[start + stream * 2] ?? 0) | ((bytes[start + stream * 2 + 1] ?? 0) << 8);
      if (at + size > end) throw malformed("zstd", "literals are cut short");
      this.#readStream(huffman, at, at + size, from, from + quarter);
      at += size;
      from += quarter;
    }
    this.#readStream(huffman, at, end, from, count);
  }

  #readStream(huffman: HuffmanTable, start: number, end: number, from: number, to: number): void {
    const { bitsMax, symbols, lengths } = huffman;
    const literals = this.#literals;
    const stream = new BackwardBits(this.#frame.bytes, start, end);
    for (let at = from; at < to; at++) {
      const code = stream.peek(bitsMax);
      literals[at] = symbols[code] ?? 0;
      stream.left -= lengths[code] ?? 0;
    }
    if (stream.left !== 0) throw malformed("zstd", "literals are not as many as they should be");
  }

  /** Sets the table that a block uses for one code, and returns the position after its description. */
  #readTable(code: SequenceCode, mode: number, start: number, end: number): number {
    let position = start;
    let table: FseTable | undefined;
    if (mode === 0) {
      table = code.predefined;
    } else if (mode === 1) {
      const symbol = this.#frame.bytes[position++] ?? 0;
      if (symbol > code.symbolMax) throw malformed("zstd", "a sequence has a code that cannot be");
      table = singleSymbolTable(symbol);
    } else if (mode === 2) {
      ({ table, position } = readFseTable(this.#frame.bytes, start, end, code.accuracyMax, code.symbolMax));
    } else {
      table =
        code === LITERAL_LENGTHS
          ? this.#literalLengths
          : code === OFFSETS
            ? this.#offsets
            : this.#matchLengths;
    }
    if (code === LITERAL_LENGTHS) this.#literalLengths = table;
    else if (code === OFFSETS) this.#offsets = table;
    else this.#matchLengths = table;
    return position;
  }

  #runSequences(stream: BackwardBits, count: number, literals: number): void {
    const [lengthTable, offsetTable, matchTable] = [this.#literalLengths, this.#offsets, this.#matchLengths];
    if (lengthTable === undefined || offsetTable === undefined || matchTable === undefined) {
      throw malformed("zstd", "a table of sequences is missing");
    }
    const { symbols: lengthSymbols, bits: lengthBits, bases: lengthBases } = lengthTable;
    const { symbols: offsetSymbols, bits: offsetBits, bases: offsetBases } = offsetTable;
    const { symbols: matchSymbols, bits: matchBits, bases: matchBases } = matchTable;
    const blockEnd = this.#length + BLOCK_BYTES_MAX;
    let literal = 0;
    let lengthState = stream.read(lengthTable.accuracy);
    let offsetState = stream.read(offsetTable.accuracy);
    let matchState = stream.read(matchTable.accuracy);
    for (let left = count; left > 0; left--) {
      const offsetCode = offsetSymbols[offsetState] ?? 0;
      if (offsetCode > OFFSET_BITS_MAX) throw malformed("zstd", "an offset reaches too far back");
      const offsetValue = (1 << offsetCode) + stream.readLong(offsetCode);
      const matchCode = matchSymbols[matchState] ?? 0;
      const match = (MATCH_LENGTH_BASES[matchCode] ?? 0) + stream.read(MATCH_LENGTH_BITS[matchCode] ?? 0);
      const lengthCode = lengthSymbols[lengthState] ?? 0;
      const length =
        (LITERAL_LENGTH_BASES[lengthCode] ?? 0) + stream.read(LITERAL_LENGTH_BITS[lengthCode] ?? 0);
      if (left > 1) {
        lengthState = (lengthBases[lengthState] ?? 0) + stream.read(lengthBits[lengthState] ?? 0);
        matchState = (matchBases[matchState] ?? 0) + stream.read(matchBits[matchState] ?? 0);
        offsetState = (offsetBases[offsetState] ?? 0) + stream.read(offsetBits[offsetState] ?? 0);
      }
      if (stream.left < 0 || literal + length > literals) throw malformed("zstd", "sequences are cut short");
      if (this.#length + length + match > blockEnd) throw malformed("zstd", "a block holds too much");
      this.#copyLiterals(literal, literal + length);
      literal += length;
      this.#copyMatch(this.#offsetOf(offsetValue, length), match);
    }
    if (stream.left !== 0) throw malformed("zstd", "sequences are not as many as they should be");
    if (this.#length + literals - literal > blockEnd) {
      throw malformed("zstd", "a block holds too much");
    }
    this.#copyLiterals(literal, literals);
  }

  /** Values from 1 to 3 stand for the offsets used last; without literals before it, for the others of them. */
  #offsetOf(value: number, literalLength: number): number {
    const recent = this.#recent;
    if (value > 3) {
      recent[2] = recent[1];
      recent[1] = recent[0];
      recent[0] = value - 3;
      return recent[0];
    }
    const which = literalLength === 0 ? value : value - 1;
    if (which === 0) return recent[0];
    const offset = which === 1 ? recent[1] : which === 2 ? recent[2] : recent[0] - 1;
    if (which > 1) recent[2] = recent[1];
    recent[1] = recent[0];
    recent[0] = offset;
    return offset;
  }

  #copyLiterals(from: number, to: number): void {
    const count = to - from;
    this.#makeRoom(count);
    const [output, literals] = [this.#output, this.#literals];
    if (count > LONG_COPY_BYTES) output.set(literals.subarray(from, to), this.#length);
    else
      for (let index = 0; index < count; index++) output[this.#length + index] = literals[from + index] ?? 0;
    this.#length += count;
  }

  #copyMatch(offset: number, count: number): void {
    this.#makeRoom(count);
    const output = this.#output;
    const to = this.#length;
    const from = to - offset;
    if (offset < 1 || from < 0) throw malformed("zstd", "an offset reaches too far back");
    if (count > LONG_COPY_BYTES && offset >= count) output.copyWithin(to, from, from + count);
    else for (let index = 0; index < count; index++) output[to + index] = output[from + index] ?? 0;
    this.#length += count;
  }
}

function basesOf(bits: Uint8Array, first: number): Int32Array {
  const bases = new Int32Array(bits.length);
  let base = first;
  for (const [code, count] of bits.entries()) {
    bases[code] = base;
    base += 1 << count;
  }
  return bases;
}
