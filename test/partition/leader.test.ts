import { describe, expect, test } from "vitest";
import type { PartitionLeader } from "../../durable-objects/partition/leader.ts";
import { SegmentState } from "../../durable-objects/partition/log-store.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { isFailure } from "../../src/model/errors.ts";
import { LOCAL_BYTES_MAX } from "../../src/model/limits.ts";
import type { Topic } from "../../src/model/topic.ts";
import { settle, TOPIC, wake } from "./leader-world.ts";
import { SqliteStorage } from "./sqlite-storage.ts";

function produce(leader: PartitionLeader, baseSequence: number) {
  const value = new TextEncoder().encode(`record ${baseSequence}`);
  const batch = encodeBatch([{ timestamp: 1, key: null, value }], {
    producerId: 7,
    producerEpoch: 0,
    baseSequence,
  });
  return leader.append({ topicVersion: 1, batch });
}

describe("a leader", () => {
  test("that rolls while batches wait for a commit does not remember them as stored unless they are", async () => {
    const storage = new SqliteStorage();
    const leader = wake(storage);
    await produce(leader, 0);
    void produce(leader, 1);
    await settle();
    leader.roll();
    // The object dies here; the producer, never answered, retries what it has sent.
    const woken = wake(storage);
    const retried = await produce(woken, 1);
    expect(retried).toMatchObject({ baseOffset: 1 });
    expect(woken.bounds().highWatermark).toBe(2);
  });

  test("whose topic is deleted writes what waits before it says so, and nothing after it", async () => {
    const storage = new SqliteStorage();
    const leader = wake(storage);
    await produce(leader, 0);
    const waiting = produce(leader, 1);
    await settle();
    expect(leader.bounds().highWatermark).toBe(1);
    leader.retire();
    expect(leader.bounds().highWatermark).toBe(2);
    expect(await waiting).toMatchObject({ baseOffset: 1 });
    expect(await produce(leader, 2)).toMatchObject({ error: "UNKNOWN_TOPIC_ID" });
  });

  test("that could not reach the Controller when it was first written asks again", async () => {
    let calls = 0;
    const openPartition = async () => {
      calls += 1;
      if (calls === 1) throw new Error("the Controller was replaced");
      return TOPIC;
    };
    const leader = wake(new SqliteStorage(), { openPartition });
    await expect(produce(leader, 0)).rejects.toThrow("replaced");
    expect(isFailure(await produce(leader, 0))).toBe(false);
    expect(calls).toBe(2);
  });

  test("that is told of a change while it is being opened knows it once it is open", async () => {
    const opened = Promise.withResolvers<Topic>();
    const changed = { ...TOPIC, version: 2, configs: { "retention.ms": "5000" } };
    const leader = wake(new SqliteStorage(), {
      openPartition: () => opened.promise,
      topicById: async () => changed,
    });
    const appended = produce(leader, 0);
    const told = leader.refreshTopic(2);
    opened.resolve(TOPIC);
    await Promise.all([appended, told]);
    expect(leader.configs.retentionMs).toBe(5_000);
  });

  test.each([
    [{}, /wait to be tiered to R2/],
    [{ "remote.storage.enable": "false" }, /remote\.storage\.enable=false keeps them from R2/],
    [{ "remote.log.copy.disable": "true" }, /remote\.log\.copy\.disable=true keeps them from R2/],
  ])("whose SQLite is full says why its segments do not leave it: %j", async (configs, reason) => {
    const storage = new SqliteStorage();
    const topic = { ...TOPIC, configs };
    await produce(wake(storage, { openPartition: async () => topic }), 0);
    const sealed = `INSERT INTO segments VALUES (?, 0, 1, ?, 1, ${SegmentState.sealed}, 1, NULL)`;
    storage.exec(sealed, -1, LOCAL_BYTES_MAX);
    expect(await produce(wake(storage), 1)).toEqual({
      error: "KAFKA_STORAGE_ERROR",
      message: expect.stringMatching(reason),
    });
  });

  test("that was never written asks storage before it says that its log is empty", async () => {
    const storage = new SqliteStorage();
    const replaced = wake(storage);
    const read = { topicVersion: 1, offset: 0, maxBytes: 1 };
    expect(await replaced.read(read)).toMatchObject({ highWatermark: 0 });
    await produce(wake(storage), 0);
    await expect(replaced.read(read)).rejects.toThrow("another object");
  });
});
