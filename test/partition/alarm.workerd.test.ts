import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { PartitionLog } from "../../durable-objects/partition/partition-log.ts";
import { unwrap } from "../../src/model/errors.ts";
import { RETENTION_CHECK_MS } from "../../src/model/limits.ts";
import type { Topic } from "../../src/model/topic.ts";
import { appended, batchOf, controller, createTopic, leaderOf } from "./support.ts";

const HOUR_MS = 3_600_000;

function alarmOf(topic: Topic): Promise<number | null> {
  return runInDurableObject(leaderOf(topic), (_, { storage }) => storage.getAlarm());
}

describe("the alarm of a partition", () => {
  test("is set by its first record for when that expires", async () => {
    const topic = await createTopic({ "retention.ms": String(2 * HOUR_MS) });
    const writtenAtMs = Date.now() - HOUR_MS;
    await appended(topic, ["a"], writtenAtMs);
    expect(await alarmOf(topic)).toBe(writtenAtMs + 2 * HOUR_MS);
  });

  test("comes within five minutes, as Kafka looks, where records had expired before they were written", async () => {
    const topic = await createTopic({ "retention.ms": String(HOUR_MS) });
    for (let times = 0; times < 2; times++) {
      const beforeMs = Date.now();
      await appended(topic, ["a"], Date.now() - 2 * HOUR_MS);
      expect(await alarmOf(topic)).toBeGreaterThanOrEqual(beforeMs + RETENTION_CHECK_MS);
      expect(await alarmOf(topic)).toBeLessThanOrEqual(Date.now() + RETENTION_CHECK_MS);
      await runDurableObjectAlarm(leaderOf(topic));
      expect(unwrap(await leaderOf(topic).describe({ topicVersion: 1 })).logStartOffset).toBe(times + 1);
      expect(await alarmOf(topic)).toBeNull();
    }
  });

  test("spares a segment that began with expired records and has newer ones by then", async () => {
    const topic = await createTopic({ "retention.ms": String(HOUR_MS) });
    await appended(topic, ["a"], Date.now() - 2 * HOUR_MS);
    const newestMs = Date.now();
    await appended(topic, ["b"], newestMs);
    await runDurableObjectAlarm(leaderOf(topic));
    expect(unwrap(await leaderOf(topic).describe({ topicVersion: 1 })).logStartOffset).toBe(0);
    expect(await alarmOf(topic)).toBe(newestMs + HOUR_MS);
  });

  test.each(["10000000000000", "9007199254740991", "9000000000000000000"])(
    "is a date that the platform takes where records are kept for %s ms",
    async (ms) => {
      const topic = await createTopic({ "retention.ms": ms, "segment.ms": ms });
      await appended(topic, ["a"]);
      expect(await alarmOf(topic)).toBeGreaterThan(Date.now() + 1_000 * HOUR_MS);
      await runDurableObjectAlarm(leaderOf(topic));
      expect(await alarmOf(topic)).toBeGreaterThan(Date.now() + 1_000 * HOUR_MS);
    },
  );

  test("that is due is not put off by a first record, which is due later", async () => {
    const topic = await createTopic();
    await appended(topic, ["a"]);
    await leaderOf(topic).deleteRecords({ topicVersion: 1, beforeOffset: -1 });
    await runDurableObjectAlarm(leaderOf(topic));
    const altered = unwrap(await controller().alterTopicConfigs(topic.name, { "file.delete.delay.ms": "0" }));
    const alarmAtMs = await runInDurableObject(leaderOf(topic), async (_, state) => {
      const leader = new PartitionLog(state, env);
      // Housekeeping is due at once when the topic has changed.
      await leader.configure(altered.version);
      await leader.append({ topicVersion: altered.version, batch: batchOf(["b"]) });
      return state.storage.getAlarm();
    });
    expect(alarmAtMs).toBeLessThan(Date.now() + 10_000);
  });

  test("is remembered by an object that wakes, and not put off by a first record", async () => {
    const topic = await createTopic();
    await appended(topic, ["a"]);
    const leader = leaderOf(topic);
    const dueMs = Date.now() + 60_000;
    await leader.deleteRecords({ topicVersion: 1, beforeOffset: -1 });
    await runDurableObjectAlarm(leader);
    await runInDurableObject(leader, (_, { storage }) => storage.setAlarm(dueMs));
    await evictDurableObject(leader);
    await appended(topic, ["b"]);
    expect(await alarmOf(topic)).toBe(dueMs);
  });

  test("comes soon when something became due while housekeeping was past it", async () => {
    const topic = await createTopic({
      "segment.bytes": "1000",
      "local.retention.ms": "0",
      "edgelog.local.drop.delay.ms": "0",
    });
    const uploads = haltedUploads();
    const alarmAtMs = await runInDurableObject(leaderOf(topic), async (_, state) => {
      const leader = new PartitionLog(state, { ...env, SEGMENTS: uploads.bucket });
      for (let i = 0; i < 3; i++) {
        await leader.append({ topicVersion: 1, batch: batchOf(["x".repeat(600)]) });
      }
      const run = leader.alarm();
      await uploads.begun;
      await leader.deleteRecords({ topicVersion: 1, beforeOffset: -1 });
      uploads.goOn();
      await run;
      return state.storage.getAlarm();
    });
    expect(alarmAtMs).toBeLessThan(Date.now() + 10_000);
  });
});

/** A bucket whose uploads wait for the test. */
function haltedUploads() {
  const begun = Promise.withResolvers<void>();
  const going = Promise.withResolvers<void>();
  const bucket = new Proxy(env.SEGMENTS, {
    get(target, name) {
      const method = Reflect.get(target, name).bind(target);
      if (name !== "head") return method;
      return async (key: string) => {
        begun.resolve();
        await going.promise;
        return method(key);
      };
    },
  });
  return { bucket, begun: begun.promise, goOn: () => going.resolve() };
}
