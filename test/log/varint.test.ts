import fc from "fast-check";
import { expect, test } from "vitest";
import {
  sizeOfVarint,
  sizeOfVarlong,
  VarintReader,
  writeVarint,
  writeVarlong,
} from "../../src/log/varint.ts";
import { EdgelogError } from "../../src/model/errors.ts";

const int32 = fc.oneof(
  fc.integer(),
  fc.integer({ min: -300, max: 300 }),
  fc.constantFrom(2 ** 31 - 1, -(2 ** 31)),
);
const safeInteger = fc.oneof(
  fc.maxSafeInteger(),
  int32,
  fc.bigInt({ min: 0n, max: 53n }).chain((bits) => {
    const edge = Number(2n ** bits - (bits === 53n ? 1n : 0n));
    return fc.constantFrom(edge, -edge, Math.max(edge - 1, 0), 1 - edge);
  }),
);

test("every int32 reads back as it was written, in as many bytes as were foretold", () => {
  fc.assert(
    fc.property(int32, (value) => {
      const bytes = new Uint8Array(8).fill(0xff);
      const end = writeVarint(bytes, 1, value);
      expect(end - 1).toBe(sizeOfVarint(value));
      const reader = new VarintReader(bytes, 1, end);
      expect(reader.readVarint()).toBe(value);
      expect(reader.position).toBe(end);
    }),
  );
});

test("every safe integer reads back as a varlong, in the bytes that 64-bit arithmetic gives", () => {
  fc.assert(
    fc.property(safeInteger, (number) => {
      const value = number + 0;
      const bytes = new Uint8Array(12);
      const end = writeVarlong(bytes, 0, value);
      expect(end).toBe(sizeOfVarlong(value));
      expect([...bytes.subarray(0, end)]).toEqual(varlongOfBigInt(BigInt(value)));
      const reader = new VarintReader(bytes, 0, end);
      expect(reader.readVarlong()).toBe(value);
      expect(reader.position).toBe(end);
    }),
    { numRuns: 500 },
  );
});

test("a small int32 takes the same bytes as a varint and as a varlong", () => {
  fc.assert(
    fc.property(int32, (value) => {
      const bytes = new Uint8Array(12);
      expect(writeVarlong(bytes, 0, value)).toBe(sizeOfVarint(value));
      expect(new VarintReader(bytes).readVarint()).toBe(value);
    }),
  );
});

test.each([
  ["0", 0, [0]],
  ["-1", -1, [1]],
  ["1", 1, [2]],
  ["63", 63, [0x7e]],
  ["-64", -64, [0x7f]],
  ["64", 64, [0x80, 0x01]],
  ["8191", 8191, [0xfe, 0x7f]],
  ["Int32.MAX", 2 ** 31 - 1, [0xfe, 0xff, 0xff, 0xff, 0x0f]],
  ["Int32.MIN", -(2 ** 31), [0xff, 0xff, 0xff, 0xff, 0x0f]],
])("%s is written as Kafka's ByteUtils writes it", (_name, value, expected) => {
  const bytes = new Uint8Array(5);
  expect([...bytes.subarray(0, writeVarint(bytes, 0, value))]).toEqual(expected);
});

test("what ends in the middle, or goes on for too long, or lies beyond 2^53 is refused", () => {
  const refused = (bytes: number[], read: (reader: VarintReader) => number) =>
    expect(() => read(new VarintReader(new Uint8Array(bytes)))).toThrow(EdgelogError);
  refused([], (reader) => reader.readInt8());
  refused([], (reader) => reader.readVarint());
  refused([0x80, 0x80], (reader) => reader.readVarint());
  refused([0x80, 0x80, 0x80, 0x80, 0x80, 0x01], (reader) => reader.readVarint());
  refused([0x80], (reader) => reader.readVarlong());
  refused(Array(11).fill(0x80), (reader) => reader.readVarlong());
  for (const beyond of [2n ** 53n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
    refused(varlongOfBigInt(beyond), (reader) => reader.readVarlong());
  }
});

function varlongOfBigInt(value: bigint): number[] {
  let zigzag = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; zigzag >= 0x80n; zigzag >>= 7n) bytes.push(Number((zigzag & 0x7fn) | 0x80n));
  return [...bytes, Number(zigzag)];
}
