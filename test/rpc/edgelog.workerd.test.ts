import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import { partitionForKey } from "../../src/log/partitioner.ts";
import type { LogRecord } from "../../src/log/record.ts";
import { unwrap } from "../../src/model/errors.ts";
import type { Topic } from "../../src/model/topic.ts";
import type { EdgelogService } from "../../src/rpc/service.ts";
import { controller, createTopic, leaderOf } from "../partition/support.ts";
import { TransactionalProducer } from "../partition/transactional-producer.ts";

/** The entrypoint as another Worker has it: every call is an RPC. */
const edgelog: EdgelogService = exports.Edgelog;
const decoder = new TextDecoder();
const text = (bytes: Uint8Array | null) => (bytes === null ? null : decoder.decode(bytes));
const values = (records: readonly LogRecord[]) => records.map(({ value }) => text(value));

async function refused(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("it was not refused");
}

describe("producing over a service binding", () => {
  test("stores records durably, keyed as the Java client does, and says where", async () => {
    const topic = await createTopic({}, 4);
    const records = Array.from({ length: 100 }, (_, index) => ({ key: `k${index % 7}`, value: `${index}` }));
    const stored = await edgelog.produce(topic.name, records);
    for (const [index, { partition, offset }] of stored.entries()) {
      const { key, value } = records[index] ?? { key: "", value: "" };
      expect(partition).toBe(partitionForKey(new TextEncoder().encode(key), 4));
      const { records: found } = await edgelog.fetchRecords(topic.name, partition, { from: offset });
      expect([text(found[0]?.key ?? null), text(found[0]?.value ?? null)]).toEqual([key, value]);
    }
  });

  test("takes one record, text and bytes, null, headers and times", async () => {
    const topic = await createTopic();
    const headers = [
      { key: "a", value: "1" },
      { key: "a", value: null },
    ];
    await edgelog.produce(topic.name, { value: new Uint8Array([1, 2]), headers, timestamp: 77 });
    await edgelog.produce(topic.name, { key: "k", value: null, headers: { b: "2" }, timestamp: 78 });
    const { records } = await edgelog.fetchRecords(topic.name, 0);
    const bytes = (content: string) => new TextEncoder().encode(content);
    expect(records).toEqual([
      {
        offset: 0,
        timestamp: 77,
        key: null,
        value: new Uint8Array([1, 2]),
        headers: [
          { key: "a", value: bytes("1") },
          { key: "a", value: null },
        ],
      },
      {
        offset: 1,
        timestamp: 78,
        key: bytes("k"),
        value: null,
        headers: [{ key: "b", value: bytes("2") }],
      },
    ]);
  });

  test("with a producer stores a repeated call once", async () => {
    const topic = await createTopic();
    const producer = { ...(await edgelog.initProducerId()), baseSequence: 0 };
    const call = () =>
      edgelog.produce(topic.name, [{ value: "a" }, { value: "b" }], { partition: 0, producer });
    expect(await call()).toEqual(await call());
    expect(values((await edgelog.fetchRecords(topic.name, 0)).records)).toEqual(["a", "b"]);
    const [one, another] = [await edgelog.initProducerId(), await edgelog.initProducerId()];
    expect(one.producerId).not.toBe(another.producerId);
  });

  test("tells of each record where only some could be stored", async () => {
    const topic = await createTopic({}, 2);
    await edgelog.produce(topic.name, { value: "first", partition: 1 });
    await leaderOf(topic, 1).retire();
    const records = ["a", "b", "c"].map((value, index) => ({ value, partition: index % 2 }));
    expect(await refused(edgelog.produce(topic.name, records))).toMatchObject({
      code: "UNKNOWN_TOPIC_ID",
      retriable: true,
      outcomes: [
        { partition: 0, offset: 0 },
        { error: "UNKNOWN_TOPIC_ID", message: expect.any(String) },
        { partition: 0, offset: 1 },
      ],
    });
  });

  test.each<[string, Parameters<EdgelogService["produce"]>, string]>([
    ["a topic's name that is none", ["no/topic", { value: "a" }], "INVALID_TOPIC_EXCEPTION"],
    ["no records", ["t", []], "INVALID_REQUEST"],
    [
      "a partition that is not there",
      ["t", [{ value: "a" }, { value: "b", partition: 7 }]],
      "UNKNOWN_TOPIC_OR_PARTITION",
    ],
    ["a partition that cannot be", ["t", { value: "a", partition: -1 }], "INVALID_REQUEST"],
    ["a value of another type", ["t", { value: 7 as unknown as string }], "INVALID_RECORD"],
    ["headers of another type", ["t", { headers: null as unknown as [] }], "INVALID_RECORD"],
    ["an unknown option", ["t", { value: "a" }, { acks: 1 } as object], "INVALID_REQUEST"],
    [
      "a producer without partition",
      ["t", { value: "a" }, { producer: { producerId: 1, producerEpoch: 0, baseSequence: 0 } }],
      "INVALID_REQUEST",
    ],
    [
      "a record that is too large",
      ["t", [{ value: "a" }, { value: "x".repeat(2_000_000) }]],
      "MESSAGE_TOO_LARGE",
    ],
    [
      "too many bytes",
      ["t", Array.from({ length: 20 }, () => ({ value: "x".repeat(900_000) }))],
      "CONTENT_TOO_LARGE",
    ],
  ])("refuses %s, stores nothing and makes no topic", async (_what, [topic, records, options], code) => {
    const name = topic === "t" ? `t-${crypto.randomUUID()}` : topic;
    const error = await refused(edgelog.produce(name, records, options));
    expect(error).toMatchObject({
      name: "EdgelogError",
      code,
      message: expect.stringContaining(`${code}: `),
    });
    if (topic !== "t") return;
    expect(await refused(edgelog.fetchRecords(name, 0))).toMatchObject({
      code: "UNKNOWN_TOPIC_OR_PARTITION",
    });
  });
});

describe("fetching over a service binding", () => {
  test("goes on where the last call ended, to the log end", async () => {
    const topic = await createTopic();
    await edgelog.produce(
      topic.name,
      ["a", "b", "c"].map((value) => ({ value })),
    );
    const first = await edgelog.fetchRecords(topic.name, 0, { from: 1 });
    expect(values(first.records)).toEqual(["b", "c"]);
    expect(first).toMatchObject({ nextOffset: 3, highWatermark: 3, logStartOffset: 0 });
    expect(await edgelog.fetchRecords(topic.name, 0, { from: 3 })).toMatchObject({
      records: [],
      nextOffset: 3,
    });
  });

  test("begins at a time, at the earliest or at the latest record", async () => {
    const topic = await createTopic();
    for (const timestamp of [1_000, 2_000])
      await edgelog.produce(topic.name, { value: `${timestamp}`, timestamp });
    const from = async (from: "earliest" | "latest" | { timestamp: number }) =>
      values((await edgelog.fetchRecords(topic.name, 0, { from })).records);
    expect(await from("earliest")).toEqual(["1000", "2000"]);
    expect(await from({ timestamp: 1_500 })).toEqual(["2000"]);
    expect(await from({ timestamp: 2_500 })).toEqual([]);
    expect(await from("latest")).toEqual([]);
  });

  test("waits for records", async () => {
    const topic = await createTopic();
    const waiting = edgelog.fetchRecords(topic.name, 0, { from: 0, maxWaitMs: 20_000 });
    await edgelog.produce(topic.name, { value: "late" });
    expect(values((await waiting).records)).toEqual(["late"]);
  });

  test("with read_committed sees what is committed, and goes on behind what was aborted", async () => {
    const topic = await createTopic();
    const producer = new TransactionalProducer();
    await producer.send(topic, ["a"]);
    await producer.commit();
    await producer.send(topic, ["b"]);
    await producer.abort();
    await producer.send(topic, ["open"]);
    const isolationLevel = "read_committed";
    const fetched = await edgelog.fetchRecords(topic.name, 0, { isolationLevel });
    expect(values(fetched.records)).toEqual(["a"]);
    expect(fetched).toMatchObject({ nextOffset: 4, highWatermark: 5 });
    expect(await edgelog.fetchRecords(topic.name, 0, { from: "latest", isolationLevel })).toMatchObject({
      records: [],
      nextOffset: 4,
    });
    using subscription = await edgelog.subscribe(topic.name, { from: "earliest", isolationLevel });
    const first = await subscription.next();
    expect([values(first?.records ?? []), first?.next]).toEqual([["a"], 4]);
    await producer.commit();
    const second = await subscription.next();
    expect([values(second?.records ?? []), second?.next]).toEqual([["open"], 6]);
  });

  test("of an offset beyond the log says what there is", async () => {
    const topic = await createTopic();
    await edgelog.produce(topic.name, { value: "a" });
    const error = await refused(edgelog.fetchRecords(topic.name, 0, { from: 9 }));
    expect(error).toMatchObject({ code: "OFFSET_OUT_OF_RANGE", logStartOffset: 0, highWatermark: 1 });
  });

  test("gives a batch that decompresses to more than one answer may have in several", async () => {
    const topic = await createTopic();
    const value = new Uint8Array(100_000);
    const batch = encodeBatch(
      Array.from({ length: 200 }, () => ({ timestamp: 1, key: null, value })),
      {
        compression: "gzip",
      },
    );
    unwrap(await leaderOf(topic).append({ topicVersion: topic.version, batch }));
    const offsets: number[] = [];
    let calls = 0;
    for (let from = 0; from < 200; calls++) {
      const { records, nextOffset } = await edgelog.fetchRecords(topic.name, 0, { from });
      offsets.push(...records.map(({ offset }) => offset));
      from = nextOffset;
    }
    expect(offsets).toEqual(Array.from({ length: 200 }, (_, index) => index));
    expect(calls).toBeGreaterThan(1);
  });
});

describe("a subscription over a service binding", () => {
  test("gives what is there and what comes, of every partition in order", async () => {
    const topic = await createTopic({}, 3);
    const produce = (from: number) =>
      edgelog.produce(
        topic.name,
        Array.from({ length: 30 }, (_, i) => ({ value: `${from + i}`, partition: i % 3 })),
      );
    await produce(0);
    using subscription = await edgelog.subscribe(topic.name, { from: "earliest" });
    const seen = new Map<number, string[]>([0, 1, 2].map((partition) => [partition, []]));
    const positions: Record<number, number> = {};
    const count = () => [...seen.values()].reduce((sum, { length }) => sum + length, 0);
    while (count() < 60) {
      if (count() === 30) await produce(30);
      const got = await subscription.next({ maxWaitMs: 20_000 });
      if (got === undefined) throw new Error("nothing came");
      seen.get(got.partition)?.push(...values(got.records).map(String));
      positions[got.partition] = got.next;
    }
    for (const [partition, got] of seen) {
      expect(got).toEqual(Array.from({ length: 20 }, (_, i) => `${partition + 3 * i}`));
    }
    expect(positions).toEqual({ 0: 20, 1: 20, 2: 20 });
    expect(await subscription.next({ maxWaitMs: 0 })).toBeUndefined();
  });

  test("resumes at the positions that another one told", async () => {
    const topic = await createTopic({}, 2);
    await edgelog.produce(
      topic.name,
      [0, 1, 0, 1].map((partition, i) => ({ value: `${i}`, partition })),
    );
    using subscription = await edgelog.subscribe(topic.name, { from: { offsets: { 0: 1 } } });
    const got: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const next = await subscription.next();
      got.push([next?.partition, values(next?.records ?? [])]);
    }
    expect(got).toEqual(
      expect.arrayContaining([
        [0, ["2"]],
        [1, ["1", "3"]],
      ]),
    );
  });

  test("goes on from R2 to what is live without a seam", async () => {
    const topic = await tiered(12);
    using subscription = await edgelog.subscribe(topic.name, { from: "earliest" });
    await edgelog.produce(topic.name, { value: "live" });
    const got: (string | null)[] = [];
    while (got.at(-1) !== "live") got.push(...values((await subscription.next())?.records ?? []));
    expect(got.map((value) => value?.split(" ")[0])).toEqual([
      ...Array.from({ length: 12 }, (_, i) => `${i}`),
      "live",
    ]);
  });

  test("lets the partition go when it is disposed of", async () => {
    const topic = await createTopic();
    await edgelog.produce(topic.name, { value: "a" });
    const subscribers = async () =>
      unwrap(await leaderOf(topic).describe({ topicVersion: topic.version })).subscribers;
    {
      using subscription = await edgelog.subscribe(topic.name);
      expect(await subscription.next({ maxWaitMs: 50 })).toBeUndefined();
      expect(await subscribers()).toBe(1);
    }
    await vi.waitFor(async () => expect(await subscribers()).toBe(0));
  });

  test("ends with an error when its topic is deleted", async () => {
    const topic = await createTopic();
    using subscription = await edgelog.subscribe(topic.name);
    await subscription.next({ maxWaitMs: 0 });
    const next = refused(subscription.next());
    unwrap(await controller().deleteTopic(topic.name));
    expect(await next).toMatchObject({ code: "UNKNOWN_TOPIC_ID" });
    expect(await subscription.next()).toBeUndefined();
  });

  test("answers one question at a time", async () => {
    const topic = await createTopic();
    using subscription = await edgelog.subscribe(topic.name);
    const first = subscription.next({ maxWaitMs: 200 });
    expect(await refused(subscription.next())).toMatchObject({ code: "INVALID_REQUEST" });
    expect(await first).toBeUndefined();
  });

  test.each<[string, Parameters<EdgelogService["subscribe"]>[1], string]>([
    ["a partition that is not there", { partitions: [1] }, "UNKNOWN_TOPIC_OR_PARTITION"],
    ["an offset beyond the log", { from: { offsets: { 0: 5 } } }, "OFFSET_OUT_OF_RANGE"],
    ["a start that is none", { from: "beginning" as "earliest" }, "INVALID_REQUEST"],
  ])("is refused for %s", async (_what, options, code) => {
    const topic = await createTopic();
    expect(await refused(edgelog.subscribe(topic.name, options))).toMatchObject({ code });
  });
});

/** A topic of which all but the newest record are only in R2. */
async function tiered(records: number): Promise<Topic> {
  const topic = await createTopic({
    "segment.bytes": "1000",
    "local.retention.ms": "0",
    "edgelog.local.drop.delay.ms": "0",
  });
  for (let i = 0; i < records; i++) await edgelog.produce(topic.name, { value: `${i} ${"x".repeat(700)}` });
  for (let runs = 0; runs < 5; runs++) await runDurableObjectAlarm(leaderOf(topic));
  await evictDurableObject(leaderOf(topic));
  return topic;
}
