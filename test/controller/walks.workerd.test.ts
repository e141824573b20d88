import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import type { Topic } from "../../src/model/topic.ts";
import { ok, refused } from "../cluster/results.ts";
import {
  batchOf,
  controllerStub,
  createTopic,
  fillAndTier,
  leaderStub,
  objectKeys,
  readAll,
  TINY_SEGMENTS,
} from "../cluster/support.ts";

/** Tables that the partition's object has. */
function tables(topic: Topic, partition = 0): Promise<number> {
  return runInDurableObject(
    leaderStub(topic, partition),
    (_, { storage }) =>
      storage.sql
        .exec("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
        .toArray().length,
  );
}

/** What the Controller still holds of a topic that is not in `topics` any more. */
function traces(topic: Topic): Promise<number> {
  return runInDurableObject(controllerStub(), (_, { storage }) =>
    [
      "SELECT 1 FROM deleted_topics WHERE id = ?",
      "SELECT 1 FROM opened_partitions WHERE topic_id = ?",
      "SELECT 1 FROM walks WHERE topic_id = ?",
    ].reduce((sum, query) => sum + storage.sql.exec(query, topic.id).toArray().length, 0),
  );
}

describe("a deleted topic", () => {
  test("leaves neither storage nor R2 objects behind, and the Controller forgets it", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS, 1_000_000);
    await fillAndTier(topic, 12);
    for (const partition of [1, 77, 999_999]) ok(await cluster.append(topic, partition, batchOf(["a"])));
    expect((await objectKeys(topic)).length).toBeGreaterThan(1);
    expect(await tables(topic, 999_999)).toBeGreaterThan(0);

    ok(await controllerStub().deleteTopic(topic.name));
    await vi.waitFor(async () => expect(await traces(topic)).toBe(0), { timeout: 10_000 });
    expect(await objectKeys(topic)).toEqual([]);
    for (const partition of [0, 1, 77, 999_999]) expect(await tables(topic, partition)).toBe(0);
  });

  test("never comes back to life, and its successor keeps its own records", async () => {
    const cluster = new Cluster(env);
    const old = await createTopic();
    ok(await cluster.append(old, 0, batchOf(["old"])));
    ok(await cluster.controller.deleteTopic(old.name));
    const recreated = ok(await cluster.controller.createTopic({ name: old.name }));
    ok(await cluster.append(old.name, 0, batchOf(["new"])));
    await vi.waitFor(async () => expect(await traces(old)).toBe(0));

    const append = { topicVersion: old.version, batch: batchOf(["late"]) };
    expect(refused(await leaderStub(old).append(append)).error).toBe("UNKNOWN_TOPIC_ID");
    await evictDurableObject(leaderStub(old));
    expect(refused(await leaderStub(old).append(append)).error).toBe("UNKNOWN_TOPIC_ID");
    expect(await tables(old)).toBe(0);
    expect(await readAll(cluster, recreated)).toEqual(["new"]);
  });

  test("takes no record from the moment on at which its deletion is answered, whoever still believes in it", async () => {
    const partitions = 70;
    const topic = await createTopic({}, partitions);
    const every = Array.from({ length: partitions }, (_, partition) => partition);
    const append = (partition: number) =>
      leaderStub(topic, partition).append({ topicVersion: topic.version, batch: batchOf(["a"]) });
    for (const appended of await Promise.all(every.map(append))) ok(appended);
    ok(await controllerStub().deleteTopic(topic.name));
    for (const appended of await Promise.all(every.map(append))) {
      expect(refused(appended).error).toBe("UNKNOWN_TOPIC_ID");
    }
  });

  test("takes none either where a partition is lost before it could be removed", async () => {
    const topic = await createTopic();
    const append = { topicVersion: topic.version, batch: batchOf(["a"]) };
    ok(await leaderStub(topic).append(append));
    await leaderStub(topic).retire();
    await evictDurableObject(leaderStub(topic));
    expect(refused(await leaderStub(topic).append({ ...append, batch: batchOf(["b"]) })).error).toBe(
      "UNKNOWN_TOPIC_ID",
    );
    expect(await leaderStub(topic).destroy()).toBe(true);
    expect(await tables(topic)).toBe(0);
  });

  test("is removed also when the Controller is evicted right after the answer", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic({}, 20);
    await Promise.all(
      Array.from({ length: 20 }, (_, partition) => cluster.append(topic, partition, batchOf(["a"]))),
    );
    ok(await controllerStub().deleteTopic(topic.name));
    await evictDurableObject(controllerStub());
    await vi.waitFor(async () => expect(await traces(topic)).toBe(0), { timeout: 10_000 });
    expect(await tables(topic, 0)).toBe(0);
    expect(await tables(topic, 19)).toBe(0);
  });
});

describe("an altered topic", () => {
  test("with a lower retention.ms is purged though nobody writes to it or reads it", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic({}, 2);
    ok(await cluster.append(topic, 1, batchOf(["a"], Date.now() - 60_000)));
    await evictDurableObject(leaderStub(topic, 1));
    ok(await controllerStub().alterTopicConfigs(topic.name, { "retention.ms": "1000" }));
    await vi.waitFor(async () => expect(await traces(topic)).toBe(1));
    await runDurableObjectAlarm(leaderStub(topic, 1));
    await vi.waitFor(async () =>
      expect(await cluster.listOffsets(topic, 1, -2)).toMatchObject({ offset: 1 }),
    );
  });

  test("that was never written to has nobody to tell", async () => {
    const topic = await createTopic({}, 1_000_000);
    ok(await controllerStub().alterTopicConfigs(topic.name, { "retention.ms": "1000" }));
    expect(await traces(topic)).toBe(0);
  });
});
