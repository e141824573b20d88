/**
 * CRC-32C, the ways to compute it side by side.
 *
 * Every way is held against the others first. They take turns on the same bytes, so that a busy machine slows all of
 * them, and the best of the rounds counts. WebAssembly, hand-assembled, is there for comparison: workerd does not compile
 * it from bytes ("Wasm code generation disallowed by embedder"). Its time includes copying the bytes into its memory.
 */

import { crc32c } from "../src/log/crc32c.ts";
import type { Question } from "./harness/question.ts";
import type { Cell } from "./harness/table.ts";

type Way = (bytes: Uint8Array) => number;

const SIZES_IN_BYTES = [100, 1_024, 16_384, 65_536, 1_000_000];
const ROUNDS = 6;
const BYTES_PER_ROUND = 32_000_000;

const TABLE = makeTable(16);
const CHOSEN = "src/log/crc32c.ts (slicing by 16)";
const WAYS: readonly (readonly [string, Way])[] = [
  [CHOSEN, (bytes) => crc32c(bytes)],
  ["slicing by 8", slicingBy8],
  ["one table, byte by byte", byteByByte],
  ["WebAssembly, slicing by 16", makeWasm()],
];

export const crc: Question = {
  name: "crc32c",
  title: "CRC-32C",
  async answer(bench) {
    const bySize = SIZES_IN_BYTES.map((size, index) => {
      bench.progress(`${size} bytes`, index / SIZES_IN_BYTES.length);
      return measure(size);
    });
    const columns = ["MB/s", ...SIZES_IN_BYTES.map((size) => ({ name: `${size} bytes`, digits: 0 }))];
    const rows = WAYS.map(([name]): Cell[] => [name, ...bySize.map((speeds) => speeds.get(name))]);
    return { tables: [{ title: "Ways to compute it (best of the rounds)", columns, rows }] };
  },
};

/** MB/s of each way. */
function measure(sizeInBytes: number): Map<string, number> {
  const bytes = new Uint8Array(sizeInBytes).map((_, index) => index * 7 + (index >> 5));
  const times = Math.ceil(BYTES_PER_ROUND / sizeInBytes);
  const speeds = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, way] of WAYS) {
      if (way(bytes) !== byteByByte(bytes))
        throw new Error(`${name} computes another CRC of ${sizeInBytes} bytes`);
      const startMs = performance.now();
      for (let time = 0; time < times; time++) way(bytes);
      const speed = (times * sizeInBytes) / (performance.now() - startMs) / 1_000;
      speeds.set(name, Math.max(speeds.get(name) ?? 0, speed));
    }
  }
  return speeds;
}

function byteByByte(bytes: Uint8Array): number {
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) crc = look((crc ^ (bytes[at] ?? 0)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function slicingBy8(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = -1;
  let at = 0;
  for (const last = bytes.length - 8; at <= last; at += 8) {
    const a = view.getInt32(at, true) ^ crc;
    const b = view.getInt32(at + 4, true);
    crc =
      look(7 * 256 + (a & 0xff)) ^
      look(6 * 256 + ((a >>> 8) & 0xff)) ^
      look(5 * 256 + ((a >>> 16) & 0xff)) ^
      look(4 * 256 + (a >>> 24)) ^
      look(3 * 256 + (b & 0xff)) ^
      look(2 * 256 + ((b >>> 8) & 0xff)) ^
      look(256 + ((b >>> 16) & 0xff)) ^
      look(b >>> 24);
  }
  for (; at < bytes.length; at++) crc = look((crc ^ (bytes[at] ?? 0)) & 0xff) ^ (crc >>> 8);
  return ~crc >>> 0;
}

function look(index: number): number {
  return TABLE[index] ?? 0;
}

function makeTable(slices: number): Int32Array {
  const table = new Int32Array(slices * 256);
  for (let index = 0; index < table.length; index++) {
    let crc = index < 256 ? index : (table[index - 256] ?? 0);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f6_3b78 & -(crc & 1));
    table[index] = crc;
  }
  return table;
}

/** `crc(start, end)` over the module's own memory: the table lies at 0, the bytes at one page. */
function makeWasm(): Way {
  const PAGE_BYTES = 65_536;
  const [START, END, CRC, WORD] = [0, 1, 2, 3];
  const op = {
    blockVoid: [0x02, 0x40],
    loopVoid: [0x03, 0x40],
    end: [0x0b],
    br: (depth: number) => [0x0c, depth],
    brIf: (depth: number) => [0x0d, depth],
    get: (local: number) => [0x20, local],
    set: (local: number) => [0x21, local],
    load32: (offset: number) => [0x28, 2, ...unsignedLeb(offset)],
    load8: [0x2d, 0, 0],
    constant: (value: number) => [0x41, ...signedLeb(value)],
    greaterUnsigned: [0x4b],
    atLeastUnsigned: [0x4f],
    add: [0x6a],
    and: [0x71],
    xor: [0x73],
    shiftLeft: [0x74],
    shiftRight: [0x76],
  };
  const tableEntry = (slice: number) => [
    ...[op.constant(0xff), op.and, op.constant(2), op.shiftLeft].flat(),
    ...op.load32(slice * 1024),
  ];
  const advance = (count: number) => [op.get(START), op.constant(count), op.add, op.set(START)].flat();
  const word = (index: number) => [
    ...[
      op.get(START),
      op.load32(4 * index),
      index === 0 ? [op.get(CRC), op.xor].flat() : [],
      op.set(WORD),
    ].flat(),
    ...[0, 1, 2, 3].flatMap((byte) => [
      ...[op.get(WORD), op.constant(8 * byte), op.shiftRight].flat(),
      ...tableEntry(15 - 4 * index - byte),
      ...(index + byte === 0 ? [] : op.xor),
    ]),
  ];
  const code = [
    ...[op.constant(-1), op.set(CRC), op.blockVoid, op.loopVoid].flat(),
    ...[op.get(START), op.constant(16), op.add, op.get(END), op.greaterUnsigned, op.brIf(1)].flat(),
    ...[0, 1, 2, 3].flatMap(word),
    ...[op.set(CRC), advance(16), op.br(0), op.end, op.end, op.blockVoid, op.loopVoid].flat(),
    ...[op.get(START), op.get(END), op.atLeastUnsigned, op.brIf(1)].flat(),
    ...[op.get(CRC), op.get(START), op.load8, op.xor, tableEntry(0)].flat(),
    ...[op.get(CRC), op.constant(8), op.shiftRight, op.xor, op.set(CRC)].flat(),
    ...[advance(1), op.br(0), op.end, op.end, op.get(CRC), op.constant(-1), op.xor, op.end].flat(),
  ];
  const body = [1, 2, 0x7f, ...code];
  const module = new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...unsignedLeb(1 + Math.ceil(1_000_000 / PAGE_BYTES))]),
    ...section(7, [2, 1, 0x6d, 2, 0, 1, 0x63, 0, 0]),
    ...section(10, [1, ...unsignedLeb(body.length), ...body]),
  ]);
  // The Workers' types know that a Worker may not do this.
  const compiled: WebAssembly.Module = Reflect.construct(WebAssembly.Module, [module]);
  const { m: memory, c: crc } = new WebAssembly.Instance(compiled).exports;
  if (!(memory instanceof WebAssembly.Memory && typeof crc === "function"))
    throw new Error("no such exports");
  new Int32Array(memory.buffer).set(TABLE);
  const input = new Uint8Array(memory.buffer, PAGE_BYTES);
  return (bytes) => {
    input.set(bytes);
    return crc(PAGE_BYTES, PAGE_BYTES + bytes.length) >>> 0;
  };
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsignedLeb(content.length), ...content];
}

function unsignedLeb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsignedLeb(value >>> 7)];
}

function signedLeb(value: number): number[] {
  const byte = value & 0x7f;
  const rest = value >> 7;
  const done = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
  return done ? [byte] : [byte | 0x80, ...signedLeb(rest)];
}
