import { expect, test } from "vitest";
import { contradictions, type Operation } from "./linearizability.ts";

function append(askedAt: number, answeredAt: number, base: number, records = 1): Operation {
  return { what: `append ${base}`, askedAt, answeredAt, endBefore: base, endAfter: base + records };
}

function read(askedAt: number, answeredAt: number, end: number): Operation {
  return { what: `read ${end}`, askedAt, answeredAt, endBefore: end, endAfter: end };
}

const NEVER = Number.POSITIVE_INFINITY;

test("appends and reads one after another are linearizable", () => {
  expect(contradictions([append(0, 1, 0), read(2, 3, 1), append(4, 5, 1, 3), read(6, 7, 4)])).toEqual([]);
});

test("operations that overlap in time may have happened in either order", () => {
  expect(contradictions([append(0, 10, 1), append(1, 9, 0), read(2, 8, 0), read(3, 7, 2)])).toEqual([]);
});

test("an append that was never answered may have happened at any time after it was asked", () => {
  expect(contradictions([append(0, NEVER, 1), append(1, 2, 0), read(3, 4, 1), read(5, 6, 2)])).toEqual([]);
});

test("a read that misses what was acknowledged before it was asked is a contradiction", () => {
  expect(contradictions([append(0, 1, 0), read(2, 3, 0)])).toHaveLength(1);
});

test("a read that sees less than an earlier one is a contradiction", () => {
  expect(contradictions([append(0, NEVER, 0), read(1, 2, 1), read(3, 4, 0)])).toHaveLength(1);
});

test("an append before one that was acknowledged already is a contradiction", () => {
  expect(contradictions([append(0, 1, 1), append(2, 3, 0)])).toHaveLength(1);
});

test("an append at offsets that were read before it was asked is a contradiction", () => {
  expect(contradictions([append(0, NEVER, 0, 3), read(1, 2, 3), append(3, 4, 2)])).toHaveLength(2);
});

test("two appends that share an offset are a contradiction", () => {
  expect(contradictions([append(0, 10, 0, 2), append(0, 10, 1)])).toHaveLength(1);
});
