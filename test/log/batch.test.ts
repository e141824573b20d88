import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeBatch,
  decodeBatches,
  encodeBatch,
  encodedRecordBytes,
  findByTimestamp,
} from "../../src/log/batch.ts";
import {
  BATCH_HEADER_BYTES,
  readBatchHeader,
  stampBatch,
  stampLogAppendTime,
  validateBatch,
} from "../../src/log/batch-header.ts";
import type { NewRecord } from "../../src/log/record.ts";
import { unwrap } from "../../src/model/errors.ts";
import {
  DECOMPRESSED_BATCH_BYTES_MAX,
  HEADERS_PER_RECORD_MAX,
  OFFSET_MAX,
  TIMESTAMP_MS_MAX,
} from "../../src/model/limits.ts";
import { arbitraryRecord, arbitraryRecords } from "./arbitrary-records.ts";
import { errorOf, resealed } from "./support.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const plain = (value: string, timestamp = 5): NewRecord => ({ timestamp, key: null, value: utf8(value) });

describe("a batch that was encoded", () => {
  test("decodes to the same records, whatever its codec, its place in the log and its producer", () => {
    fc.assert(
      fc.property(
        arbitraryRecords,
        fc.constantFrom("none" as const, "gzip" as const, "zstd" as const),
        fc.nat(OFFSET_MAX - 100),
        fc.record({
          producerId: fc.maxSafeNat(),
          producerEpoch: fc.nat(32_767),
          baseSequence: fc.nat(2 ** 31 - 1),
        }),
        fc.boolean(),
        (records, compression, baseOffset, producer, transactional) => {
          const batch = encodeBatch(records, { compression, ...producer, transactional });
          const header = unwrap(validateBatch(batch));
          expect(header).toMatchObject({
            ...producer,
            isTransactional: transactional,
            recordsCount: records.length,
            lastSequence: (producer.baseSequence + records.length - 1) % 2 ** 31,
            maxTimestamp: Math.max(...records.map(({ timestamp }) => timestamp)),
          });
          stampBatch(batch, baseOffset, 7);
          expect(readBatchHeader(batch)).toMatchObject({
            baseOffset,
            partitionLeaderEpoch: 7,
            crc: header.crc,
          });
          expect([...decodeBatch(batch)]).toEqual(
            records.map((record, index) => ({ headers: [], ...record, offset: baseOffset + index })),
          );
        },
      ),
    );
  });

  test("is as long as its records say, or shorter", () => {
    fc.assert(
      fc.property(arbitraryRecords, (records) => {
        const most = records.reduce((sum, record) => sum + encodedRecordBytes(record), BATCH_HEADER_BYTES);
        expect(encodeBatch(records).length).toBeLessThanOrEqual(most);
      }),
    );
    fc.assert(
      fc.property(arbitraryRecord, (record) => {
        expect(encodedRecordBytes(record) - (encodeBatch([record]).length - BATCH_HEADER_BYTES)).toBeLessThan(
          16,
        );
      }),
    );
  });

  test("follows others in the log, and their records come out in one row", () => {
    const batches = ["a", "b", "c"].map((value, index) => {
      const batch = encodeBatch([plain(value), plain(value)]);
      stampBatch(batch, 10 + index * 2, 0);
      return batch;
    });
    const joined = new Uint8Array(batches.flatMap((batch) => [...batch]));
    expect([...decodeBatches(joined)].map(({ offset }) => offset)).toEqual([10, 11, 12, 13, 14, 15]);
  });

  test("does not fit when its records outgrow what a reader takes, have too many headers or impossible times", () => {
    const code = (records: NewRecord[]) => errorOf(() => encodeBatch(records));
    const half = new Uint8Array(DECOMPRESSED_BATCH_BYTES_MAX / 2);
    const headers = Array.from({ length: HEADERS_PER_RECORD_MAX + 1 }, () => ({ key: "", value: null }));
    expect(code([])).toBe("INVALID_RECORD");
    expect(code([{ timestamp: 0, key: half, value: half }])).toBe("MESSAGE_TOO_LARGE");
    expect(code([{ timestamp: 0, key: null, value: null, headers }])).toBe("INVALID_RECORD");
    for (const timestamp of [-2, 1.5, Number.NaN, TIMESTAMP_MS_MAX + 1]) {
      expect(code([{ timestamp, key: null, value: null }])).toBe("INVALID_TIMESTAMP");
    }
  });
});

describe("LogAppendTime", () => {
  test("gives every record of the batch the leader's time, and the CRC stays right", () => {
    const batch = encodeBatch([plain("a", 1), plain("b", 9)], { compression: "gzip" });
    stampLogAppendTime(batch, 1_800_000_000_000);
    expect(readBatchHeader(batch)).toMatchObject({
      timestampType: "LogAppendTime",
      baseTimestamp: 1,
      maxTimestamp: 1_800_000_000_000,
      compression: 1,
    });
    expect([...decodeBatch(batch)].map(({ timestamp }) => timestamp)).toEqual([
      1_800_000_000_000, 1_800_000_000_000,
    ]);
    expect(findByTimestamp(batch, 1_750_000_000_000)).toEqual({ offset: 0, timestamp: 1_800_000_000_000 });
  });
});

test("the first record at or after a time is found by its own time, not by its place", () => {
  const batch = encodeBatch([plain("a", 10), plain("b", 30), plain("c", 20), plain("d", 40)]);
  stampBatch(batch, 100, 0);
  const at = (timestamp: number) => findByTimestamp(batch, timestamp);
  expect(at(0)).toEqual({ offset: 100, timestamp: 10 });
  expect(at(11)).toEqual({ offset: 101, timestamp: 30 });
  expect(at(40)).toEqual({ offset: 103, timestamp: 40 });
  expect(at(41)).toBeUndefined();
});

describe("records that break the format are refused, whatever the CRC says:", () => {
  const batch = encodeBatch([
    { timestamp: 5, key: utf8("k"), value: utf8("v"), headers: [{ key: "h", value: utf8("x") }] },
    plain("second", 6),
  ]);
  // length, attributes, timestamp delta, offset delta, key length, key, value length, value, header count, …
  const [LENGTH, OFFSET_DELTA, KEY_LENGTH, VALUE_LENGTH, HEADERS, HEADER_KEY_LENGTH] = [0, 3, 4, 6, 8, 9];
  const zigzag = (value: number) => (value < 0 ? -value * 2 - 1 : value * 2);

  test.each([
    ["a record longer than the batch", LENGTH, 60],
    ["a record of no bytes", LENGTH, 0],
    ["a record of fewer than no bytes", LENGTH, -3],
    ["a record shorter than its fields", LENGTH, 9],
    ["a record longer than its fields", LENGTH, 14],
    ["an offset beyond the batch's last", OFFSET_DELTA, 2],
    ["an offset before the batch's first", OFFSET_DELTA, -1],
    ["an offset that the next record has too", OFFSET_DELTA, 1],
    ["a key longer than the record", KEY_LENGTH, 40],
    ["a key of -2 bytes", KEY_LENGTH, -2],
    ["a value longer than the record", VALUE_LENGTH, 12],
    ["a value of -2 bytes", VALUE_LENGTH, -2],
    ["more headers than there are bytes", HEADERS, 60],
    ["fewer than no headers", HEADERS, -1],
    ["a header without a key", HEADER_KEY_LENGTH, -1],
    ["a header key longer than the record", HEADER_KEY_LENGTH, 30],
  ])("%s", (_name, at, value) => {
    const broken = batch.slice();
    broken[BATCH_HEADER_BYTES + at] = zigzag(value);
    expect(errorOf(() => [...decodeBatch(resealed(broken))])).toBe("INVALID_RECORD");
  });

  test("more or fewer records than the header counts", () => {
    for (const count of [1, 3, 2 ** 31 - 1, -1]) {
      const broken = batch.slice();
      const view = new DataView(broken.buffer);
      view.setInt32(57, count);
      view.setInt32(23, Math.max(count, 2) - 1);
      expect(errorOf(() => [...decodeBatch(resealed(broken))])).toBe("INVALID_RECORD");
    }
  });
});

test("a batch that is torn, of another magic or changed on its way is refused before a record is read", () => {
  const batch = encodeBatch([plain("a")]);
  const changed = (at: number, byte: number) => batch.with(at, byte);
  expect(errorOf(() => [...decodeBatch(batch.subarray(0, 60))])).toBe("CORRUPT_MESSAGE");
  expect(errorOf(() => [...decodeBatch(batch.subarray(0, batch.length - 1))])).toBe("CORRUPT_MESSAGE");
  expect(errorOf(() => [...decodeBatch(changed(batch.length - 2, 0x62))])).toBe("CORRUPT_MESSAGE");
  expect(errorOf(() => [...decodeBatch(changed(16, 1))])).toBe("UNSUPPORTED_FOR_MESSAGE_FORMAT");
  expect(errorOf(() => [...decodeBatch(resealed(changed(22, 6)))])).toBe("UNSUPPORTED_COMPRESSION_TYPE");
  expect(errorOf(() => [...decodeBatch(changed(0, 0x80))])).toBe("INVALID_RECORD");
});
