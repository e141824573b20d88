import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AssignedBatch } from "../../durable-objects/partition/commit-queue.ts";
import { LogStore } from "../../durable-objects/partition/log-store.ts";
import { SegmentedLog } from "../../durable-objects/partition/segmented-log.ts";
import { TailCache } from "../../durable-objects/partition/tail-cache.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders, readBatchHeader, stampBatch } from "../../src/log/batch-header.ts";
import { encodeMarker } from "../../src/log/control-batch.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { topicConfigs } from "../../src/model/topic-configs.ts";
import { SqliteStorage } from "./sqlite-storage.ts";

const IDENTITY = { topicId: "AAAAAAAAAAAAAAAAAAAAAA", partition: 0, placement: 0 };
const ROW_BYTES_MAX = 2_000_000;

function batchAt(baseOffset: number, records: number, valueBytes: number, timestamp: number): AssignedBatch {
  const bytes = encodeBatch(
    Array.from({ length: records }, () => ({ timestamp, key: null, value: new Uint8Array(valueBytes) })),
  );
  stampBatch(bytes, baseOffset, 0);
  return { bytes, baseOffset, nextOffset: baseOffset + records, maxTimestamp: timestamp };
}

function markerAt(baseOffset: number, timestampMs: number): AssignedBatch {
  const bytes = encodeMarker({ producerId: 1, producerEpoch: 0, type: "commit", timestampMs });
  stampBatch(bytes, baseOffset, 0);
  return { bytes, baseOffset, nextOffset: baseOffset + 1, maxTimestamp: timestampMs };
}

/** The log takes what it is given over, buffers and all. */
function copyOf(batches: readonly AssignedBatch[]): AssignedBatch[] {
  return batches.map((batch) => ({ ...batch, bytes: batch.bytes.slice() }));
}

function newLog(storage: SqliteStorage, cacheBytes: number): SegmentedLog {
  const store = new LogStore(storage);
  const log = new SegmentedLog(store, IDENTITY, new TailCache(cacheBytes).tail());
  if (store.exists()) log.recover();
  else {
    store.create();
    log.begin(0);
  }
  return log;
}

describe("the segmented log", () => {
  test("never makes a row larger than the platform takes, however small or large the batches are", () => {
    for (const valueBytes of [0, 500_000, 1_890_000]) {
      const storage = new SqliteStorage();
      const log = newLog(storage, 0);
      const batches: AssignedBatch[] = [];
      for (let bytes = 0; bytes < 5_000_000; bytes += batches.at(-1)?.bytes.length ?? 0) {
        batches.push(batchAt(batches.length, 1, valueBytes, 1));
      }
      storage.transactionSync(() => log.write(batches, topicConfigs({}), 0));
      expect(storage.largestRow("segment_0_0")).toBeLessThan(ROW_BYTES_MAX - 1_000);
      expect(log.logEndOffset).toBe(batches.length);
    }
  });

  test("gives back exactly what was written, from any offset and with any limit, cached or not, woken or not", () => {
    const write = fc.record({
      groups: fc.array(fc.record({ records: fc.integer({ min: 1, max: 4 }), valueBytes: fc.nat(300) }), {
        minLength: 1,
        maxLength: 6,
      }),
      wake: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(write, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(0, 2_000, 1_000_000),
        fc.integer({ min: 200, max: 3_000 }),
        fc.array(fc.record({ at: fc.nat(), maxBytes: fc.nat(2_000) }), { maxLength: 20 }),
        (writes, cacheBytes, segmentBytes, reads) => {
          const storage = new SqliteStorage();
          const configs = { ...topicConfigs({}), segmentBytes };
          let log = newLog(storage, cacheBytes);
          const written: AssignedBatch[] = [];
          for (const { groups, wake } of writes) {
            const batches: AssignedBatch[] = [];
            for (const { records, valueBytes } of groups) {
              const end = (batches.at(-1) ?? written.at(-1))?.nextOffset ?? 0;
              batches.push(batchAt(end, records, valueBytes, end + 1));
            }
            storage.transactionSync(() => log.write(copyOf(batches), configs, 0));
            written.push(...batches);
            if (wake) log = newLog(storage, cacheBytes);
          }
          const end = written.at(-1)?.nextOffset ?? 0;
          expect(log.logEndOffset).toBe(end);
          for (const { at, maxBytes } of reads) {
            const offset = at % end;
            const read = log.read(offset, maxBytes);
            if (!(read instanceof Uint8Array)) throw new Error("everything is local");
            const first = written.findIndex(({ nextOffset }) => nextOffset > offset);
            const count = [...batchHeaders(read)].length;
            expect(count).toBeGreaterThan(0);
            expect(read).toEqual(concatBytes(written.slice(first, first + count).map(({ bytes }) => bytes)));
            if (count > 1) expect(read.length).toBeLessThanOrEqual(maxBytes);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test("tells when the first record at or after any offset was made; markers are none", () => {
    const write = fc.record({ records: fc.integer({ min: 0, max: 4 }), timestamp: fc.nat(1_000) });
    fc.assert(
      fc.property(
        fc.array(fc.array(write, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 }),
        fc.nat(20),
        (groups, deleted) => {
          const storage = new SqliteStorage();
          const configs = { ...topicConfigs({}), segmentBytes: 500 };
          const log = newLog(storage, 0);
          // null: a marker.
          const times: (number | null)[] = [];
          for (const group of groups) {
            const batches = group.map(({ records, timestamp }) => {
              const isMarker = records === 0;
              const batch = isMarker
                ? markerAt(times.length, timestamp)
                : batchAt(times.length, records, 20, timestamp);
              times.push(...(isMarker ? [null] : new Array<number>(records).fill(timestamp)));
              return batch;
            });
            storage.transactionSync(() => log.write(batches, configs, 0));
          }
          const logStart = Math.min(deleted, times.length);
          log.setLogStart(logStart);
          for (let offset = 0; offset <= times.length + 1; offset++) {
            const first = times.slice(Math.max(offset, logStart)).find((time) => time !== null);
            expect(log.timeAt(offset)).toBe(first ?? null);
          }
        },
      ),
    );
  });

  test("finds the first batch at or after a time", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50), { minLength: 1, maxLength: 40 }),
        fc.nat(55),
        fc.boolean(),
        (timestamps, wanted, wake) => {
          const storage = new SqliteStorage();
          const configs = { ...topicConfigs({}), segmentBytes: 500 };
          let log = newLog(storage, 0);
          for (const [offset, timestamp] of timestamps.entries()) {
            storage.transactionSync(() => log.write([batchAt(offset, 1, 20, timestamp)], configs, 0));
          }
          if (wake) log = newLog(storage, 0);
          const found = log.findTimestamp(wanted);
          const expected = timestamps.findIndex((timestamp) => timestamp >= wanted);
          if (expected === -1) expect(found).toEqual({ kind: "none" });
          else {
            if (found.kind !== "batch") throw new Error(`found ${found.kind}`);
            expect(readBatchHeader(found.batch).baseOffset).toBe(expected);
          }
        },
      ),
    );
  });
});
