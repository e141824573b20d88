import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Housekeeping } from "../../durable-objects/partition/housekeeping.ts";
import { PartitionLeader } from "../../durable-objects/partition/leader.ts";
import { platformStorage } from "../../durable-objects/partition/platform-storage.ts";
import { MAX_TIMESTAMP } from "../../durable-objects/partition/rpc.ts";
import { TailCache } from "../../durable-objects/partition/tail-cache.ts";
import { batchHeaders, sliceFrom } from "../../src/log/batch-header.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { failure, isFailure, unwrap } from "../../src/model/errors.ts";
import { letOthersIn } from "../../src/model/event-loop.ts";
import type { Topic } from "../../src/model/topic.ts";
import { appended, controller, createTopic, leaderOf, offsetsIn, valuesIn } from "./support.ts";

/** Segments of about four records, in SQLite for as short as possible. */
const TINY = {
  "segment.bytes": "1000",
  "local.retention.ms": "0",
  "edgelog.local.drop.delay.ms": "0",
  "file.delete.delay.ms": "0",
};

const VALUE = "x".repeat(150);

async function fill(topic: Topic, records: number, firstTimestamp = Date.now()): Promise<void> {
  for (let i = 0; i < records; i++) await appended(topic, [`${i} ${VALUE}`], firstTimestamp + i);
}

/** Runs housekeeping until it has nothing more to do at once. */
async function settle(topic: Topic): Promise<void> {
  for (let i = 0; i < 5; i++) await runDurableObjectAlarm(leaderOf(topic));
}

async function objectsOf(topic: Topic): Promise<R2Object[]> {
  return (await env.SEGMENTS.list({ prefix: `${topic.id}/` })).objects;
}

/** Reads the whole log as the Worker does: local answers from the leader, remote ranges from R2. */
async function readAll(
  topic: Topic,
  maxBytes = 700,
): Promise<{ batches: Uint8Array; remote: number; local: number }> {
  const parts: Uint8Array[] = [];
  const counts = { remote: 0, local: 0 };
  let offset = 0;
  for (;;) {
    const read = await leaderOf(topic).read({ topicVersion: topic.version, offset, maxBytes });
    if (isFailure(read)) throw new Error(read.message);
    let batches: Uint8Array;
    if (read.kind === "local") {
      if (read.batches.length === 0) return { batches: concatBytes(parts), ...counts };
      batches = read.batches;
    } else {
      const { key, position, length } = read.range;
      const object = await env.SEGMENTS.get(key, { range: { offset: position, length } });
      if (object === null) throw new Error(`${key} is not in R2`);
      batches = sliceFrom(new Uint8Array(await object.arrayBuffer()), offset, maxBytes);
    }
    counts[read.kind]++;
    parts.push(batches);
    for (const { header } of batchHeaders(batches)) offset = header.nextOffset;
  }
}

const WHOLE = Array.from({ length: 40 }, (_, i) => `${i} ${VALUE}`);

describe("tiering", () => {
  test("sealed segments go to R2 byte for byte, leave SQLite, and reads cross without a seam", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, 40);
    const before = await readAll(topic);
    expect(before.remote).toBe(0);
    await settle(topic);
    await evictDurableObject(leaderOf(topic));
    const after = await readAll(topic);
    expect(after.remote).toBeGreaterThan(5);
    expect(after.local).toBeGreaterThan(0);
    expect(after.batches).toEqual(before.batches);
    expect(valuesIn(after.batches)).toEqual(WHOLE);

    const tables = await runInDurableObject(leaderOf(topic), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE 'segment\\_%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toHaveLength(1);
    const [first] = await objectsOf(topic);
    expect(first?.key).toMatch(/\/0\/0\/0\/00000000000000000000\.log$/);
    const object = await env.SEGMENTS.get(first?.key ?? "");
    const bytes = new Uint8Array((await object?.arrayBuffer()) ?? new ArrayBuffer());
    expect(bytes).toEqual(before.batches.subarray(0, bytes.length));
    expect(offsetsIn(bytes)).toEqual(Array.from({ length: offsetsIn(bytes).length }, (_, i) => i));
  });

  test("stays in SQLite until the drop delay has passed, and where the topic does not tier", async () => {
    const delayed = await createTopic({ ...TINY, "edgelog.local.drop.delay.ms": "60000" });
    const local = await createTopic({ ...TINY, "remote.storage.enable": "false" });
    for (const topic of [delayed, local]) {
      await fill(topic, 20);
      await settle(topic);
      expect((await readAll(topic)).remote).toBe(0);
    }
    expect((await objectsOf(delayed)).length).toBeGreaterThan(2);
    expect(await objectsOf(local)).toEqual([]);
  });

  test("an upload that was interrupted after the put is taken over, not repeated or lost", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, 20);
    await settle(topic);
    const etags = (await objectsOf(topic)).map(({ etag, uploaded }) => [etag, uploaded.getTime()]);
    // As if the object had died between the put and the commit of its row.
    const other = await createTopic({ ...TINY, "edgelog.local.drop.delay.ms": "60000" });
    await fill(other, 20);
    await settle(other);
    const stored = await objectsOf(other);
    await runInDurableObject(leaderOf(other), (_, { storage }) => {
      storage.sql.exec(`UPDATE segments SET state = 2, "index" = NULL WHERE state = 3`);
    });
    await evictDurableObject(leaderOf(other));
    await fill(other, 8);
    await settle(other);
    const again = await objectsOf(other);
    expect(again.slice(0, stored.length).map(({ uploaded }) => uploaded)).toEqual(
      stored.map(({ uploaded }) => uploaded),
    );
    expect(etags.length).toBeGreaterThan(2);
    const described = unwrap(await leaderOf(other).describe({ topicVersion: 1 }));
    expect(described.remoteSegments).toBe(again.length);
  });
});

describe("retention", () => {
  test("by bytes moves the log start and deletes rows, tables and objects", async () => {
    const topic = await createTopic({ ...TINY, "retention.bytes": "2000" });
    await fill(topic, 40);
    await settle(topic);
    const described = unwrap(await leaderOf(topic).describe({ topicVersion: 1 }));
    expect(described.logStartOffset).toBeGreaterThan(20);
    expect(described.remoteBytes + described.localBytes).toBeLessThan(4_000);
    expect(await objectsOf(topic)).toHaveLength(described.remoteSegments);
    const read = await leaderOf(topic).read({ topicVersion: 1, offset: 0, maxBytes: 1 });
    expect(read).toMatchObject({ error: "OFFSET_OUT_OF_RANGE", logStartOffset: described.logStartOffset });
  });

  test("by time also takes the active segment, and the log goes on at the next offset", async () => {
    const topic = await createTopic({ ...TINY, "retention.ms": "60000" });
    await fill(topic, 10, Date.now() - 3_600_000);
    await settle(topic);
    const described = unwrap(await leaderOf(topic).describe({ topicVersion: 1 }));
    expect(described).toMatchObject({ logStartOffset: 10, highWatermark: 10, remoteSegments: 0 });
    expect(await appended(topic, ["after"])).toMatchObject({ baseOffset: 10 });
    expect(await objectsOf(topic)).toEqual([]);
  });

  test("lowered on an idle topic purges it", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, 10, Date.now() - 3_600_000);
    await settle(topic);
    expect((await objectsOf(topic)).length).toBeGreaterThan(0);
    const altered = unwrap(await controller().alterTopicConfigs(topic.name, { "retention.ms": "1000" }));
    await leaderOf(topic).configure(altered.version);
    await settle(topic);
    expect(unwrap(await leaderOf(topic).describe({ topicVersion: altered.version }))).toMatchObject({
      logStartOffset: 10,
      highWatermark: 10,
    });
    expect(await objectsOf(topic)).toEqual([]);
  });

  test("DeleteRecords moves the log start at once and frees whole segments", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, 40);
    await settle(topic);
    const objects = (await objectsOf(topic)).length;
    const leader = leaderOf(topic);
    expect(await leader.deleteRecords({ topicVersion: 1, beforeOffset: 21 })).toEqual({ logStartOffset: 21 });
    expect(await leader.deleteRecords({ topicVersion: 1, beforeOffset: 5 })).toEqual({ logStartOffset: 21 });
    expect(await leader.deleteRecords({ topicVersion: 1, beforeOffset: 41 })).toMatchObject({
      error: "OFFSET_OUT_OF_RANGE",
    });
    await settle(topic);
    expect((await objectsOf(topic)).length).toBeLessThan(objects);
    await evictDurableObject(leader);
    expect(await leader.deleteRecords({ topicVersion: 1, beforeOffset: -1 })).toEqual({ logStartOffset: 40 });
    await settle(topic);
    expect(await objectsOf(topic)).toEqual([]);
    expect(await appended(topic, ["after"])).toMatchObject({ baseOffset: 40 });
  });
});

test("objects that are due are deleted though a thousand others are not yet", async () => {
  const topic = await createTopic(TINY);
  await fill(topic, 20);
  await settle(topic);
  const leader = leaderOf(topic);
  // As if they had left the log while file.delete.delay.ms was longer.
  await runInDurableObject(leader, (_, { storage }) => {
    storage.sql.exec(
      `WITH RECURSIVE others(n) AS (SELECT -1 UNION ALL SELECT n - 1 FROM others WHERE n > -1000)
       INSERT INTO segments (base_offset, generation, next_offset, bytes, max_timestamp, state, state_at_ms)
       SELECT n, 0, 0, 1, 0, 5, ? FROM others`,
      Date.now() + 3_600_000,
    );
  });
  await leader.deleteRecords({ topicVersion: 1, beforeOffset: -1 });
  await settle(topic);
  expect(await objectsOf(topic)).toEqual([]);
});

describe("an upload whose object was lost on the way", () => {
  test("is waited for before its object in R2 is deleted for good", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, 20);
    await settle(topic);
    const leader = leaderOf(topic);
    await loseDuringUpload(topic);
    await leader.deleteRecords({ topicVersion: 1, beforeOffset: -1 });
    await settle(topic);
    const due = await runInDurableObject(leader, (_, { storage }) =>
      storage.sql.exec<{ due: number }>("SELECT min(state_at_ms) AS due FROM segments WHERE state = 5").one(),
    );
    expect(due.due).toBeGreaterThan(Date.now());
    expect((await objectsOf(topic)).length).toBeGreaterThan(2);
  });

  test("keeps a deleted topic's partition from being forgotten until it can have come true", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, 20);
    await settle(topic);
    const leader = leaderOf(topic);
    await loseDuringUpload(topic);
    expect(await leader.destroy()).toBe(false);
    expect(await objectsOf(topic)).toEqual([]);
    // As if it had come true now, and it were a while later.
    await env.SEGMENTS.put(`${topic.id}/0/0/0/00000000000000000000.log`, "late");
    await runInDurableObject(leader, (_, { storage }) => {
      storage.sql.exec("UPDATE settings SET value = '0' WHERE key = 'put_abandoned_at_ms'");
    });
    expect(await leader.destroy()).toBe(true);
    expect(await objectsOf(topic)).toEqual([]);
    expect(await leader.destroy()).toBe(true);
  });
});

test("an upload that fails may still come true, and is waited for likewise", async () => {
  const topic = await createTopic({ "segment.bytes": "1500000" });
  await appended(topic, [VALUE]);
  await runInDurableObject(leaderOf(topic), async (_, state) => {
    const storage = platformStorage(state);
    const clock = { now: () => Date.now() };
    const leader = new PartitionLeader(
      { topicId: topic.id, partition: 0, placement: 0 },
      {
        storage,
        clock,
        tailCache: new TailCache(0),
        openPartition: async () => topic,
        topicById: async () => topic,
        joinTransaction: async () => failure("COORDINATOR_NOT_AVAILABLE"),
        nextTurn: letOthersIn,
        logEndMoved() {},
        logStartMoved() {},
        housekeepingDue() {},
      },
    );
    leader.roll();
    const housekeeping = new Housekeeping(leader, bucketThatLosesItsAnswers(), storage, clock);
    await expect(housekeeping.run()).rejects.toThrow("lost");
    expect(housekeeping.abandonedPutsEndMs()).toBeGreaterThan(Date.now());
  });
});

function bucketThatLosesItsAnswers(): R2Bucket {
  return new Proxy(env.SEGMENTS, {
    get(target, name) {
      if (name !== "put") return Reflect.get(target, name).bind(target);
      return async (_key: string, body: ReadableStream) => {
        for await (const _ of body);
        throw new Error("the answer was lost");
      };
    },
  });
}

/** As if the object had died in the middle of a put. */
async function loseDuringUpload(topic: Topic): Promise<void> {
  await runInDurableObject(leaderOf(topic), (_, { storage }) => {
    storage.sql.exec(`UPDATE segments SET state = 2, "index" = NULL WHERE state IN (3, 4)`);
  });
  await evictDurableObject(leaderOf(topic));
}

describe("finding offsets by time", () => {
  test("names the batch of the first record at or after it, wherever that is", async () => {
    const topic = await createTopic(TINY);
    const start = Date.now();
    await fill(topic, 40, start);
    await settle(topic);
    const find = (timestamp: number) => leaderOf(topic).listOffsets({ topicVersion: 1, timestamp });
    const recent = await find(start + 39);
    if (isFailure(recent) || recent.kind !== "batch") throw new Error("the newest record is not local");
    expect(offsetsIn(recent.batch)).toEqual([39]);
    const old = await find(start + 3);
    if (isFailure(old) || old.kind !== "remote") throw new Error("an old record is not in R2");
    const { key, position, length } = old.range;
    const object = await env.SEGMENTS.get(key, { range: { offset: position, length } });
    const bytes = new Uint8Array((await object?.arrayBuffer()) ?? new ArrayBuffer());
    const found = [...batchHeaders(bytes)].find(({ header }) => header.maxTimestamp >= start + 3);
    expect(found?.header.baseOffset).toBe(3);
    expect(await find(start + 40)).toMatchObject({ kind: "offset", offset: -1 });
    expect(await find(MAX_TIMESTAMP)).toMatchObject({ kind: "batch", timestampMs: start + 39 });
    expect(await find(-1)).toMatchObject({ offset: 40 });
    expect(await find(-2)).toMatchObject({ offset: 0 });
    expect(await find(-5)).toMatchObject({ kind: "offset", offset: 35 });
  });
});

describe("a deleted topic", () => {
  test("leaves nothing in storage or R2, and its partition refuses to live again", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, 20);
    await settle(topic);
    unwrap(await controller().deleteTopic(topic.name));
    for (let i = 0; i < 5; i++) await runDurableObjectAlarm(controller());
    expect(await objectsOf(topic)).toEqual([]);
    await evictDurableObject(leaderOf(topic));
    await expect(appended(topic, ["again"])).rejects.toThrow(/UNKNOWN_TOPIC_ID|no topic|deleted/i);
    const rows = await runInDurableObject(leaderOf(topic), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    );
    expect(rows).toEqual([]);
  });
});
