import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import {
  BATCH_HEADER_BYTES,
  batchHeaders,
  readBatchHeader,
  sliceFrom,
  stampBatch,
  validateBatch,
} from "../../src/log/batch-header.ts";
import { isFailure, unwrap } from "../../src/model/errors.ts";
import { BATCH_BYTES_MAX, RECORDS_PER_BATCH_MAX, TIMESTAMP_MS_MAX } from "../../src/model/limits.ts";
import { concat, errorOf, resealed } from "./support.ts";

const PRODUCER = { producerId: 9, producerEpoch: 0, baseSequence: 0 };

function batchOf(count: number, valueBytes = 10): Uint8Array {
  const value = new Uint8Array(valueBytes);
  return encodeBatch(
    Array.from({ length: count }, (_, index) => ({ timestamp: index, key: null, value })),
    PRODUCER,
  );
}

describe("a producer's batch is refused with", () => {
  const changed = (change: (view: DataView, bytes: Uint8Array) => void) => {
    const bytes = batchOf(3);
    change(new DataView(bytes.buffer), bytes);
    return bytes;
  };
  const resealedAfter = (change: (view: DataView) => void) => resealed(changed(change));
  const header = (codec: number, count: number) =>
    resealedAfter((view) => {
      view.setInt16(21, codec);
      view.setInt32(23, count - 1);
      view.setInt32(57, count);
    });

  test.each([
    ["CORRUPT_MESSAGE", "no bytes", new Uint8Array()],
    ["CORRUPT_MESSAGE", "less than a header", batchOf(1).subarray(0, BATCH_HEADER_BYTES - 1)],
    ["CORRUPT_MESSAGE", "its last byte missing", batchOf(1).subarray(0, -1)],
    ["CORRUPT_MESSAGE", "a size smaller than a header", changed((view) => view.setInt32(8, 40))],
    ["CORRUPT_MESSAGE", "a negative size", changed((view) => view.setInt32(8, -1))],
    ["CORRUPT_MESSAGE", "a changed record", changed((view) => view.setInt8(70, 1))],
    ["CORRUPT_MESSAGE", "a changed CRC", changed((view) => view.setInt8(17, view.getInt8(17) ^ 1))],
    ["CORRUPT_MESSAGE", "magic 3", changed((view) => view.setInt8(16, 3))],
    ["INVALID_RECORD", "magic 1", changed((view) => view.setInt8(16, 1))],
    ["INVALID_RECORD", "another batch behind it", concat(batchOf(1), batchOf(1))],
    ["INVALID_RECORD", "a byte behind it", concat(batchOf(1), [0])],
    ["MESSAGE_TOO_LARGE", "more bytes than any topic takes", batchOf(1, BATCH_BYTES_MAX)],
    ["INVALID_RECORD", "a baseOffset", changed((view) => view.setBigInt64(0, 1n))],
    ["INVALID_RECORD", "control records", resealedAfter((view) => view.setInt16(21, 0b10_0000))],
    ["INVALID_RECORD", "a delete horizon", resealedAfter((view) => view.setInt16(21, 0b100_0000))],
    ["INVALID_RECORD", "no records", header(0, 0)],
    ["INVALID_RECORD", "-1 records", header(0, -1)],
    ["INVALID_RECORD", "more records than fit", header(0, 9)],
    ["INVALID_RECORD", "more records than a batch may have", header(1, RECORDS_PER_BATCH_MAX + 1)],
    ["INVALID_RECORD", "a gap in its offsets", resealedAfter((view) => view.setInt32(23, 3))],
    ["UNSUPPORTED_COMPRESSION_TYPE", "codec 5", header(5, 3)],
    ["INVALID_RECORD", "producer id -2", resealedAfter((view) => view.setBigInt64(43, -2n))],
    ["INVALID_RECORD", "producer id 2^53", resealedAfter((view) => view.setBigInt64(43, 2n ** 53n))],
    ["INVALID_RECORD", "a producer without an epoch", resealedAfter((view) => view.setInt16(51, -1))],
    ["INVALID_RECORD", "a producer without a sequence", resealedAfter((view) => view.setInt32(53, -1))],
    [
      "INVALID_RECORD",
      "a transaction without a producer",
      resealed(
        changed((view) => {
          view.setInt16(21, 0b1_0000);
          view.setBigInt64(43, -1n);
        }),
      ),
    ],
    ["INVALID_TIMESTAMP", "LogAppendTime", resealedAfter((view) => view.setInt16(21, 0b1000))],
    ["INVALID_TIMESTAMP", "base time -2", resealedAfter((view) => view.setBigInt64(27, -2n))],
    [
      "INVALID_TIMESTAMP",
      "a time beyond every calendar",
      resealedAfter((view) => view.setBigInt64(35, BigInt(TIMESTAMP_MS_MAX) + 1n)),
    ],
  ])("%s for %s", (error, _what, bytes) => {
    const refused = validateBatch(bytes);
    expect(isFailure(refused) && refused.error).toBe(error);
  });

  test("nothing else: what the encoder makes is taken, also without times and as a view into other bytes", () => {
    const batch = encodeBatch([{ timestamp: -1, key: null, value: null }]);
    expect(unwrap(validateBatch(batch))).toMatchObject({
      baseTimestamp: -1,
      maxTimestamp: -1,
      producerId: -1,
    });
    const view = concat([1, 2, 3], batch, [4]).subarray(3, -1);
    expect(unwrap(validateBatch(view)).sizeInBytes).toBe(batch.length);
  });
});

test("sequences go on from Int32.MAX to 0", () => {
  const value = { timestamp: 0, key: null, value: null };
  const batch = encodeBatch([value, value, value], { ...PRODUCER, baseSequence: 2 ** 31 - 2 });
  expect(readBatchHeader(batch)).toMatchObject({ baseSequence: 2 ** 31 - 2, lastSequence: 0 });
});

test("a header can be read before the rest of its batch is there, but not from less than 61 bytes", () => {
  const batch = batchOf(3);
  expect(readBatchHeader(batch.subarray(0, BATCH_HEADER_BYTES)).sizeInBytes).toBe(batch.length);
  expect(readBatchHeader(concat([7, 7], batch), 2)).toEqual(readBatchHeader(batch));
  for (const position of [-1, 0, 1, batch.length, Number.NaN]) {
    expect(errorOf(() => readBatchHeader(batch.subarray(0, 60), position))).toBe("CORRUPT_MESSAGE");
  }
});

describe("a row of batches", () => {
  /** Batches of 1 to 4 records, with gaps between their offsets as compaction leaves them. */
  const arbitraryLog = fc
    .array(fc.record({ count: fc.integer({ min: 1, max: 4 }), gap: fc.nat(3), valueBytes: fc.nat(60) }), {
      minLength: 1,
      maxLength: 12,
    })
    .map((shapes) => {
      let next = 100;
      return shapes.map(({ count, gap, valueBytes }) => {
        const bytes = batchOf(count, valueBytes);
        stampBatch(bytes, next + gap, 0);
        next += gap + count;
        return { bytes, last: next - 1 };
      });
    });

  test("is walked batch by batch, from any of them to any other", () => {
    fc.assert(
      fc.property(arbitraryLog, fc.nat(12), fc.nat(12), (log, a, b) => {
        const whole = concat(...log.map(({ bytes }) => bytes));
        const starts = log.map((_, index) =>
          log.slice(0, index).reduce((sum, { bytes }) => sum + bytes.length, 0),
        );
        const [from, to] = [Math.min(a, b, log.length), Math.min(Math.max(a, b), log.length)];
        const at = (index: number) => starts[index] ?? whole.length;
        const walked = [...batchHeaders(whole, at(from), at(to))];
        expect(walked.map(({ position }) => position)).toEqual(starts.slice(from, to));
        expect(walked.map(({ header }) => header.lastOffset)).toEqual(
          log.slice(from, to).map(({ last }) => last),
        );
      }),
    );
  });

  test("that ends within a batch is refused there, after the whole ones", () => {
    const torn = concat(batchOf(1), batchOf(2)).subarray(0, -1);
    const walk = batchHeaders(torn);
    expect(walk.next().value?.position).toBe(0);
    expect(errorOf(() => walk.next())).toBe("CORRUPT_MESSAGE");
    expect(errorOf(() => [...batchHeaders(concat(batchOf(1), [0]))])).toBe("CORRUPT_MESSAGE");
  });

  test("is cut to whole batches from the one with the offset on, within the bytes asked for but at least one", () => {
    fc.assert(
      fc.property(arbitraryLog, fc.integer({ min: 90, max: 200 }), fc.nat(2_000), (log, offset, maxBytes) => {
        const wanted = log.filter(({ last }) => last >= offset).map(({ bytes }) => bytes);
        let take = Math.min(1, wanted.length);
        const size = (count: number) => wanted.slice(0, count).reduce((sum, { length }) => sum + length, 0);
        while (take < wanted.length && size(take + 1) <= maxBytes) take++;
        const cut = sliceFrom(concat(...log.map(({ bytes }) => bytes)), offset, maxBytes);
        expect(cut).toEqual(concat(...wanted.slice(0, take)));
      }),
    );
  });
});
