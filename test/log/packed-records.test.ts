import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import { PackedRecords } from "../../src/log/packed-records.ts";
import { arbitraryRecords } from "./arbitrary-records.ts";

describe("packed records", () => {
  test("come out as they went in", () => {
    fc.assert(
      fc.property(arbitraryRecords, fc.array(fc.option(fc.nat())), (records, partitions) => {
        const packed = new PackedRecords();
        records.forEach((record, index) => {
          packed.push(record, partitions[index] ?? undefined);
        });
        expect(packed.length).toBe(records.length);
        records.forEach((record, index) => {
          expect(packed.at(index)).toEqual({ headers: [], ...record });
          expect(packed.partition(index)).toBe(partitions[index] ?? undefined);
        });
        expect(packed.at(records.length)).toBeUndefined();
      }),
    );
  });

  test("make the same batch as records", () => {
    fc.assert(
      fc.property(arbitraryRecords, (records) => {
        fc.pre(records.length > 0);
        const packed = new PackedRecords();
        for (const record of records) packed.push(record, undefined);
        expect(encodeBatch(packed)).toEqual(encodeBatch(records));
        const reversed = records.map((_, index) => records.length - 1 - index);
        expect(encodeBatch(packed.pick(reversed))).toEqual(encodeBatch(records.toReversed()));
      }),
    );
  });

  test("of which one is larger than a piece of memory keep their order", () => {
    const records = [10, 100_000, 1, 70_000, 5].map((length, index) => ({
      timestamp: index,
      key: null,
      value: new Uint8Array(length).fill(index),
    }));
    const packed = new PackedRecords();
    for (const record of records) packed.push(record, undefined);
    expect(records.map((_, index) => packed.at(index)?.value)).toEqual(records.map(({ value }) => value));
  });
});
