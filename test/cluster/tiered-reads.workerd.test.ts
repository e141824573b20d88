import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { ok, refused } from "./results.ts";
import { createTopic, fillAndTier, objectKeys, readAll, TINY_SEGMENTS, valuesIn } from "./support.ts";

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
