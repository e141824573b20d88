import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import { readBatchHeader } from "../../src/log/batch-header.ts";
import { newTopicId } from "../../src/model/ids.ts";
import {
  append,
  appended,
  batchOf,
  createTopic,
  leaderOf,
  offsetsIn,
  readLocal,
  valuesIn,
} from "./support.ts";

describe("appending", () => {
  test("gives every record the next offset and returns it byte for byte", async () => {
    const topic = await createTopic();
    expect(await appended(topic, ["a", "b"])).toMatchObject({ baseOffset: 0, logAppendTimeMs: -1 });
    expect(await appended(topic, ["c"])).toMatchObject({ baseOffset: 2 });
    const read = await readLocal(topic);
    expect(valuesIn(read.batches)).toEqual(["a", "b", "c"]);
    expect(read).toMatchObject({ logStartOffset: 0, highWatermark: 3, lastStableOffset: 3, leaderEpoch: 0 });
  });

  test("many callers at once get contiguous offsets in their order of arrival, in few rows", async () => {
    const topic = await createTopic();
    const stub = leaderOf(topic);
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => stub.append({ topicVersion: 1, batch: batchOf([`v${i}`]) })),
    );
    expect(answers.map((answer) => ("baseOffset" in answer ? answer.baseOffset : answer.error))).toEqual(
      Array.from({ length: 500 }, (_, i) => i),
    );
    expect(valuesIn((await readLocal(topic)).batches)).toEqual(
      Array.from({ length: 500 }, (_, i) => `v${i}`),
    );
    const rows = await runInDurableObject(stub, (_, { storage }) =>
      storage.sql.exec("SELECT count(*) AS rows FROM segment_0_0").one(),
    );
    expect(Number(rows.rows)).toBeLessThan(250);
  });

  test("an evicted partition comes back with its records, its end and its configs", async () => {
    const topic = await createTopic({ "max.message.bytes": "200" });
    await appended(topic, ["a", "b"]);
    await evictDurableObject(leaderOf(topic));
    expect(await appended(topic, ["c"])).toMatchObject({ baseOffset: 2 });
    expect(await append(topic, batchOf(["x".repeat(300)]))).toMatchObject({ error: "MESSAGE_TOO_LARGE" });
    await evictDurableObject(leaderOf(topic));
    expect(valuesIn((await readLocal(topic)).batches)).toEqual(["a", "b", "c"]);
  });

  test("a batch that is torn, corrupt or not a batch is refused and changes nothing", async () => {
    const topic = await createTopic();
    const batch = batchOf(["a"]);
    const corrupt = batch.slice();
    corrupt[corrupt.length - 1] = (corrupt[corrupt.length - 1] ?? 0) ^ 1;
    expect(await append(topic, corrupt)).toMatchObject({ error: "CORRUPT_MESSAGE" });
    expect(await append(topic, batch.slice(0, -1))).toHaveProperty("error");
    expect(await append(topic, new Uint8Array())).toHaveProperty("error");
    expect((await readLocal(topic)).highWatermark).toBe(0);
  });

  test("a transactional batch is refused: nobody would write its end", async () => {
    const topic = await createTopic();
    const records = [{ timestamp: 1, key: null, value: new Uint8Array(1) }];
    const batch = encodeBatch(records, {
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 0,
      transactional: true,
    });
    expect(await append(topic, batch)).toMatchObject({ error: "INVALID_TXN_STATE" });
    expect((await readLocal(topic)).highWatermark).toBe(0);
  });

  test("a topic with LogAppendTime stamps the leader's time and keeps the batch valid", async () => {
    const topic = await createTopic({ "message.timestamp.type": "LogAppendTime" });
    const before = Date.now();
    const answer = await appended(topic, ["a"], 1_000);
    expect(answer.logAppendTimeMs).toBeGreaterThanOrEqual(before);
    const header = readBatchHeader((await readLocal(topic)).batches);
    expect(header).toMatchObject({ timestampType: "LogAppendTime", maxTimestamp: answer.logAppendTimeMs });
  });

  test("a timestamp outside the topic's window is refused", async () => {
    const topic = await createTopic({
      "message.timestamp.after.max.ms": "1000",
      "message.timestamp.before.max.ms": "1000",
    });
    expect(await append(topic, batchOf(["a"], Date.now() + 60_000))).toMatchObject({
      error: "INVALID_TIMESTAMP",
    });
    expect(await append(topic, batchOf(["a"], Date.now() - 60_000))).toMatchObject({
      error: "INVALID_TIMESTAMP",
    });
  });

  test("a leader epoch that is not the partition's is refused", async () => {
    const topic = await createTopic();
    const request = { topicVersion: topic.version, batch: batchOf(["a"]) };
    expect(await leaderOf(topic).append({ ...request, leaderEpoch: 1 })).toMatchObject({
      error: "UNKNOWN_LEADER_EPOCH",
    });
    expect(await leaderOf(topic).append({ ...request, leaderEpoch: 0 })).toMatchObject({ baseOffset: 0 });
  });

  test("a partition of a topic that does not exist never comes to life", async () => {
    const topic = { ...(await createTopic()), id: newTopicId() };
    expect(await append(topic, batchOf(["a"]))).toMatchObject({ error: "UNKNOWN_TOPIC_ID" });
    const tables = await runInDurableObject(leaderOf(topic), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  test("a refusal that came from the Controller keeps nothing open: it is passed on as a plain value", async () => {
    const topic = { ...(await createTopic()), id: newTopicId() };
    const request = { topicVersion: topic.version, batch: batchOf(["a"]) };
    const hasDispose = await runInDurableObject(
      leaderOf(topic),
      async (leader) => Symbol.dispose in (await leader.append(request)),
    );
    expect(hasDispose).toBe(false);
  });

  test("reading a partition that was never written answers as an empty log and writes nothing", async () => {
    const topic = await createTopic();
    expect(await readLocal(topic)).toMatchObject({ highWatermark: 0, logStartOffset: 0 });
    const tables = await runInDurableObject(leaderOf(topic), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toEqual([]);
  });
});

describe("reading", () => {
  test("begins with the batch that contains the offset and ends on a batch boundary", async () => {
    const topic = await createTopic();
    for (let i = 0; i < 10; i++) await appended(topic, [`${i}a`, `${i}b`, `${i}c`]);
    const batchBytes = batchOf(["0a", "0b", "0c"]).length;
    const read = await readLocal(topic, { offset: 4, maxBytes: 3 * batchBytes + 1 });
    expect(offsetsIn(read.batches)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(offsetsIn((await readLocal(topic, { offset: 4, maxBytes: 1 })).batches)).toEqual([3, 4, 5]);
    await evictDurableObject(leaderOf(topic));
    const again = await readLocal(topic, { offset: 4, maxBytes: 3 * batchBytes + 1 });
    expect(offsetsIn(again.batches)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(offsetsIn((await readLocal(topic, { offset: 29 })).batches)).toEqual([27, 28, 29]);
    expect((await readLocal(topic, { offset: 30 })).batches.length).toBe(0);
  });

  test("outside the log is refused with the log's bounds", async () => {
    const topic = await createTopic();
    await appended(topic, ["a", "b"]);
    const request = { topicVersion: topic.version, maxBytes: 1 };
    expect(await leaderOf(topic).read({ ...request, offset: 3 })).toMatchObject({
      error: "OFFSET_OUT_OF_RANGE",
      logStartOffset: 0,
      highWatermark: 2,
    });
    await leaderOf(topic).deleteRecords({ topicVersion: topic.version, beforeOffset: 1 });
    expect(await leaderOf(topic).read({ ...request, offset: 0 })).toMatchObject({
      error: "OFFSET_OUT_OF_RANGE",
      logStartOffset: 1,
    });
  });
});
