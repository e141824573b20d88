import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders, sliceFrom, stampBatch } from "../../src/log/batch-header.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { EdgelogError } from "../../src/model/errors.ts";
import { REMOTE_READ_AHEAD_BYTES } from "../../src/model/limits.ts";
import { readBatchOfTimestamp, readRange, type SegmentBucket } from "../../src/tier/read-range.ts";

const KEY = "topic/0/0/0/00000000000000000000.log";

/** Batches of so many records with values of so many bytes, one after another, a millisecond apart. */
function segment(shapes: readonly { records: number; valueBytes: number }[], baseOffset = 0) {
  const batches: Uint8Array[] = [];
  let offset = baseOffset;
  for (const [i, { records, valueBytes }] of shapes.entries()) {
    const value = new Uint8Array(valueBytes);
    const batch = encodeBatch(
      Array.from({ length: records }, () => ({ timestamp: 1_000 + i, key: null, value })),
    );
    stampBatch(batch, offset, 0);
    batches.push(batch);
    offset += records;
  }
  return { bytes: concatBytes(batches), nextOffset: offset };
}

/** A bucket with one object, and what was read of it. */
function bucketOf(object: Uint8Array | undefined) {
  const reads: { offset: number; length: number }[] = [];
  const bucket: SegmentBucket = {
    async get(key, { range }) {
      expect(key).toBe(KEY);
      reads.push(range);
      if (object === undefined) return null;
      const part = object.slice(range.offset, range.offset + range.length);
      return { arrayBuffer: async () => part.buffer };
    },
  };
  return { bucket, reads };
}

/** Comparing megabytes byte by byte is slow by `toEqual`. */
function isSame(one: Uint8Array | undefined, other: Uint8Array): boolean {
  return one !== undefined && Buffer.compare(one, other) === 0;
}

const shapes = fc.array(
  fc.record({ records: fc.integer({ min: 1, max: 4 }), valueBytes: fc.nat({ max: 90_000 }) }),
  {
    minLength: 1,
    maxLength: 8,
  },
);

describe("reading a range of a segment object", () => {
  test("ends where a read_committed reader's view does, however much is asked for", async () => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(7), fc.nat(8), fc.nat(400_000), async (all, first, last, maxBytes) => {
        const { bytes } = segment(all);
        const { bucket } = bucketOf(bytes);
        const starts = [...batchHeaders(bytes)].map(({ header, position }) => ({ ...header, position }));
        const offset = starts[first % starts.length]?.baseOffset ?? 0;
        const before = starts[last % (starts.length + 1)];
        if (before === undefined) return;
        const range = {
          key: KEY,
          position: 0,
          length: bytes.length,
          offset,
          beforeOffset: before.baseOffset,
        };
        const read = await readRange(bucket, range, offset, maxBytes);
        const whole = sliceFrom(bytes.subarray(0, before.position), offset, maxBytes);
        expect(isSame(read, whole)).toBe(true);
      }),
    );
  });

  test("gives what the segment itself would, from any offset, in any portion, at any place in the object", async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.nat({ max: 1_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat({ max: 600_000 }),
        fc.nat({ max: 100 }),
        async (batches, baseOffset, where, maxBytes, before) => {
          const { bytes, nextOffset } = segment(batches, baseOffset);
          const offset = baseOffset + Math.floor(where * (nextOffset - baseOffset - 1));
          const { bucket, reads } = bucketOf(
            concatBytes([new Uint8Array(before), bytes, new Uint8Array(50)]),
          );
          const range = { key: KEY, position: before, length: bytes.length, offset };
          const found = await readRange(bucket, range, offset, maxBytes);
          expect(isSame(found, sliceFrom(bytes, offset, maxBytes))).toBe(true);
          for (const read of reads) {
            expect(read.offset).toBeGreaterThanOrEqual(before);
            expect(read.offset + read.length).toBeLessThanOrEqual(before + bytes.length);
            expect(read.length).toBeLessThanOrEqual(Math.max(maxBytes, 4 * 90_100) + REMOTE_READ_AHEAD_BYTES);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("asks R2 once where the first batch is what is wanted", async () => {
    const { bytes } = segment(Array.from({ length: 100 }, () => ({ records: 1, valueBytes: 1_000 })));
    const { bucket, reads } = bucketOf(bytes);
    const range = { key: KEY, position: 0, length: bytes.length, offset: 0 };
    const batches = await readRange(bucket, range, 0, 50_000);
    expect(isSame(batches, sliceFrom(bytes, 0, 50_000))).toBe(true);
    expect(reads).toHaveLength(1);
  });

  test("leaves out the bytes of large batches that lie before the offset", async () => {
    const { bytes } = segment(Array.from({ length: 10 }, () => ({ records: 1, valueBytes: 1_000_000 })));
    const { bucket, reads } = bucketOf(bytes);
    const range = { key: KEY, position: 0, length: bytes.length, offset: 9 };
    expect(isSame(await readRange(bucket, range, 9, 1), sliceFrom(bytes, 9, 1))).toBe(true);
    const read = reads.reduce((sum, { length }) => sum + length, 0);
    expect(read).toBeLessThan(1_000_100 + 10 * (REMOTE_READ_AHEAD_BYTES + 1));
  });

  test("gives nothing beyond the last batch, and undefined when the object is gone", async () => {
    const { bytes, nextOffset } = segment([{ records: 3, valueBytes: 10 }]);
    const range = { key: KEY, position: 0, length: bytes.length, offset: nextOffset };
    expect(await readRange(bucketOf(bytes).bucket, range, nextOffset, 100)).toEqual(new Uint8Array());
    expect(await readRange(bucketOf(undefined).bucket, range, 0, 100)).toBeUndefined();
    expect(await readBatchOfTimestamp(bucketOf(undefined).bucket, range, 0)).toBeUndefined();
  });

  test.each([
    ["shorter than the range", (bytes: Uint8Array) => bytes.slice(0, -1)],
    ["no batches at all", (bytes: Uint8Array) => new Uint8Array(bytes.length)],
    [
      "a batch that claims more than there is",
      (bytes: Uint8Array) => {
        const wrong = bytes.slice();
        new DataView(wrong.buffer).setInt32(8, bytes.length);
        return wrong;
      },
    ],
  ])("that holds %s is CORRUPT_MESSAGE", async (_, spoil) => {
    const { bytes } = segment([{ records: 1, valueBytes: 100 }]);
    const range = { key: KEY, position: 0, length: bytes.length, offset: 0 };
    const error = await readRange(bucketOf(spoil(bytes)).bucket, range, 0, 1_000).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EdgelogError);
    expect(error).toMatchObject({ code: "CORRUPT_MESSAGE" });
  });
});

describe("looking for a time in a range", () => {
  test("gives the first batch that has it, at or after the log start", async () => {
    await fc.assert(
      fc.asyncProperty(
        shapes,
        fc.integer({ min: 999, max: 1_010 }),
        fc.nat({ max: 20 }),
        async (batches, ms, start) => {
          const { bytes } = segment(batches);
          const range = { key: KEY, position: 0, length: bytes.length, offset: start };
          const wanted = [...batchHeaders(bytes)].find(
            ({ header }) => header.maxTimestamp >= ms && header.lastOffset >= start,
          );
          const expected =
            wanted === undefined
              ? new Uint8Array()
              : bytes.slice(wanted.position, wanted.position + wanted.header.sizeInBytes);
          expect(await readBatchOfTimestamp(bucketOf(bytes).bucket, range, ms)).toEqual(expected);
        },
      ),
      { numRuns: 100 },
    );
  });
});
