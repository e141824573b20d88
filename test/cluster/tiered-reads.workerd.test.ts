import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { FIELD, writeInt64 } from "../../src/log/batch-layout.ts";
import { crc32c } from "../../src/log/crc32c.ts";
import { TransactionalProducer } from "../partition/transactional-producer.ts";
import { ok, refused } from "./results.ts";
import {
  batchOf,
  createTopic,
  fillAndTier,
  LONG,
  objectKeys,
  readAll,
  TINY_SEGMENTS,
  valuesIn,
} from "./support.ts";

describe("a log whose older part is in R2", () => {
  test.each([1, 200, 700, 1_000_000])("is read whole, in order, %d bytes at a time", async (maxBytes) => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS);
    const values = await fillAndTier(topic, 20);
    expect((await objectKeys(topic)).length).toBeGreaterThan(2);
    expect(await readAll(cluster, topic, 0, { maxBytes })).toEqual(values);
  });

  test("is read from any offset, never more than asked beyond the first batch", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS);
    const values = await fillAndTier(topic, 12);
    for (const [offset, value] of values.entries()) {
      const { batches, ...bounds } = ok(await cluster.read(topic, 0, { offset, maxBytes: 500 }));
      expect(valuesIn(batches)[0]).toBe(value);
      expect(batches.length).toBeLessThanOrEqual(500);
      expect(bounds).toEqual({ logStartOffset: 0, highWatermark: 12, lastStableOffset: 12, leaderEpoch: 0 });
    }
  });

  test("tells the offset of any time", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS);
    const start = Date.now();
    await fillAndTier(topic, 12, start);
    for (let offset = 0; offset < 12; offset++) {
      expect(await cluster.listOffsets(topic, 0, start + offset)).toMatchObject({
        offset,
        timestamp: start + offset,
      });
    }
  });

  test("tells since when a reader at any offset has unread records, also when it asks again", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS);
    const start = Date.now() - 60_000;
    await fillAndTier(topic, 12, start);
    const positions = Array.from({ length: 13 }, (_, offset) => offset);
    const oldestUnreadMs = [...positions.slice(0, 12).map((offset) => start + offset), null];
    for (let asked = 0; asked < 2; asked++) {
      expect(ok(await cluster.lag(topic, 0, positions))).toMatchObject({ highWatermark: 12, oldestUnreadMs });
    }
    await env.SEGMENTS.delete(await objectKeys(topic));
    // What was looked up once is known.
    expect(ok(await cluster.lag(topic, 0, [2]))).toMatchObject({ oldestUnreadMs: [start + 2] });
  });

  test("tells nothing of unread records where there are markers only, and passes over those in front of others", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    const producer = new TransactionalProducer();
    await producer.send(topic, ["a"]);
    await producer.commit();
    expect(ok(await cluster.lag(topic, 0, [1]))).toMatchObject({ highWatermark: 2, oldestUnreadMs: [null] });
    ok(await cluster.append(topic, 0, batchOf(["b"], 1_000)));
    expect(ok(await cluster.lag(topic, 0, [1]))).toMatchObject({ oldestUnreadMs: [1_000] });
  });

  test("that R2 does not hand out still tells how many records are unread, but not since when", async () => {
    const topic = await createTopic(TINY_SEGMENTS);
    await fillAndTier(topic, 12);
    const bucket = new Proxy(env.SEGMENTS, {
      get: () => () => Promise.reject(new Error("R2 is down, by the test")),
    });
    const lag = await new Cluster({ ...env, SEGMENTS: bucket }).lag(topic, 0, [0, 12]);
    expect(ok(lag)).toMatchObject({ highWatermark: 12, oldestUnreadMs: [null, null] });
  });

  test("tells the offset of a time of what is kept, though deleted records of the same object are as young", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic({
      ...TINY_SEGMENTS,
      "segment.bytes": "5000",
      "index.interval.bytes": "1",
    });
    const start = Date.now() - 60_000;
    ok(await cluster.append(topic, 0, batchOf([LONG], start + 1_000)));
    await fillAndTier(topic, 30, start);
    ok(await cluster.deleteRecords(topic, 0, 5));
    expect(ok(await cluster.describePartition(topic, 0)).earliestLocalOffset).toBeGreaterThan(20);
    for (let offset = 5; offset < 31; offset++) {
      const timestamp = start + offset - 1;
      expect(await cluster.listOffsets(topic, 0, timestamp)).toMatchObject({ offset, timestamp });
    }
    expect(await cluster.listOffsets(topic, 0, start)).toMatchObject({ offset: 5 });
    expect(await cluster.listOffsets(topic, 0, start + 30)).toMatchObject({ offset: -1 });
  });

  test("passes over a batch whose header promises younger records than it holds, wherever it lies", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS);
    const start = Date.now();
    ok(await cluster.append(topic, 0, withMaxTimestamp(batchOf(["old"], start), start + 5)));
    await fillAndTier(topic, 10, start);
    expect(await cluster.listOffsets(topic, 0, start + 3)).toMatchObject({ offset: 4 });
    ok(await cluster.append(topic, 0, withMaxTimestamp(batchOf(["old"], start), start + 99)));
    ok(await cluster.append(topic, 0, batchOf(["new"], start + 50)));
    expect(await cluster.listOffsets(topic, 0, start + 50)).toMatchObject({ offset: 12 });
    expect(await cluster.listOffsets(topic, 0, start + 51)).toMatchObject({ offset: -1 });
  });

  test("whose object is lost is refused, after the leader was asked again, and says that a retry may help", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS);
    const start = Date.now();
    await fillAndTier(topic, 12, start);
    await env.SEGMENTS.delete(await objectKeys(topic));
    expect(refused(await cluster.read(topic, 0, { offset: 0, maxBytes: 500 })).error).toBe(
      "KAFKA_STORAGE_ERROR",
    );
    expect(refused(await cluster.listOffsets(topic, 0, start)).error).toBe("KAFKA_STORAGE_ERROR");
  });

  test("that R2 does not hand out for now is refused, and read when it does", async () => {
    const topic = await createTopic(TINY_SEGMENTS);
    const values = await fillAndTier(topic, 12);
    const bucket = new Proxy(env.SEGMENTS, {
      get: () => () => Promise.reject(new Error("R2 is down, by the test")),
    });
    const result = await new Cluster({ ...env, SEGMENTS: bucket }).read(topic, 0, {
      offset: 0,
      maxBytes: 500,
    });
    expect(refused(result).error).toBe("KAFKA_STORAGE_ERROR");
    expect(await readAll(new Cluster(env), topic)).toEqual(values);
  });
});

/** The batch with another maxTimestamp in its header. */
function withMaxTimestamp(batch: Uint8Array, timestamp: number): Uint8Array {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  writeInt64(view, FIELD.maxTimestamp, timestamp);
  view.setUint32(FIELD.crc, crc32c(batch, FIELD.attributes));
  return batch;
}
