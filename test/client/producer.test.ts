import kafkajs from "kafkajs";
import { expect, test } from "vitest";
import { type FetchLike, platformFetch } from "../../src/client/platform.ts";
import { useCluster } from "./cluster.ts";
import { stored } from "./stored.ts";

const cluster = useCluster();

/** A fetch whose produce requests wait at a gate. */
function gatedFetch() {
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let arrived: () => void = () => {};
  const firstArrived = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const requests: string[] = [];
  const fetch: FetchLike = async (url, options) => {
    if (url.includes("/records")) {
      requests.push(url);
      arrived();
      await gate;
    }
    return platformFetch(url, options);
  };
  return { fetch, requests, firstArrived, open: () => open() };
}

test("a record is stored at the partition and offset that its promise names", async () => {
  const topic = await cluster.newTopic(3);
  const producer = cluster.client().producer({ topic });
  const sent = await producer.send(Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, value: `v${i}` })));
  await producer.close();
  const partitions = await Promise.all([0, 1, 2].map((partition) => stored(cluster.url, topic, partition)));
  expect(sent.map(({ partition, offset }) => partitions[partition]?.values[offset])).toEqual(
    Array.from({ length: 100 }, (_, i) => `v${i}`),
  );
  expect(new Set(sent.map(({ partition }) => partition)).size).toBe(3);
});

test("a key goes to the partition that the Java client chooses", async () => {
  const topic = await cluster.newTopic(7);
  const producer = cluster.client().producer({ topic });
  const keys = [
    "",
    "a",
    "21",
    "foobar",
    "grüße",
    "a-little-bit-long-string",
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
  ];
  const sent = await producer.send(keys.map((key) => ({ key, value: "" })));
  const java = kafkajs.Partitioners.JavaCompatiblePartitioner();
  const partitionMetadata = Array.from({ length: 7 }, (_, partitionId) => ({
    partitionErrorCode: 0,
    partitionId,
    leader: 1,
    replicas: [1],
    isr: [1],
  }));
  expect(sent.map(({ partition }) => partition)).toEqual(
    keys.map((key) => java({ topic, partitionMetadata, message: { key: Buffer.from(key), value: "" } })),
  );
});

test("while a batch is under way the next one grows", async () => {
  const topic = await cluster.newTopic();
  const gate = gatedFetch();
  const producer = cluster.client({ fetch: gate.fetch }).producer({ topic, lingerMs: 0 });
  const first = producer.send({ value: "first" });
  await gate.firstArrived;
  const others = producer.send(Array.from({ length: 5_000 }, (_, i) => ({ value: `value ${i}` })));
  gate.open();
  await Promise.all([first, others]);
  const { headers } = await stored(cluster.url, topic);
  expect(headers.map(({ recordsCount }) => recordsCount)).toEqual([1, 5_000]);
});

test("a batch lingers until it is full or flushed, and no longer", async () => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic, lingerMs: 100_000, batchSize: 1_000 });
  await producer.send(Array.from({ length: 10 }, (_, i) => ({ value: `${i}`.padStart(100, "x") })));
  const waiting = producer.send({ value: "waits" });
  await producer.flush();
  await expect(waiting).resolves.toEqual({ topic, partition: 0, offset: 10 });
});

test("one request per partition is under way, and many partitions at once up to maxInFlight", async () => {
  const topic = await cluster.newTopic(8);
  let now = 0;
  let most = 0;
  const perPartition = new Map<string, number>();
  let mostPerPartition = 0;
  const fetch: FetchLike = async (url, options) => {
    if (!url.includes("/records")) return platformFetch(url, options);
    const count = (perPartition.get(url) ?? 0) + 1;
    perPartition.set(url, count);
    now += 1;
    most = Math.max(most, now);
    mostPerPartition = Math.max(mostPerPartition, count);
    try {
      return await platformFetch(url, options);
    } finally {
      now -= 1;
      perPartition.set(url, (perPartition.get(url) ?? 1) - 1);
    }
  };
  const producer = cluster.client({ fetch }).producer({ topic, lingerMs: 0, batchSize: 1, maxInFlight: 3 });
  await producer.sendAll(Array.from({ length: 400 }, (_, i) => ({ value: `${i}`, partition: i % 8 })));
  expect(most).toBe(3);
  expect(mostPerPartition).toBe(1);
});

test("records without a key fill batches of one partition, then of another", async () => {
  const topic = await cluster.newTopic(4);
  const producer = cluster.client().producer({ topic, batchSize: 2_000 });
  const sent = await producer.send(Array.from({ length: 200 }, () => ({ value: "x".repeat(90) })));
  const runs = sent.filter(({ partition }, i) => partition !== sent[i - 1]?.partition).length;
  expect(runs).toBeGreaterThanOrEqual(8);
  expect(runs).toBeLessThanOrEqual(12);
});

test.each(["gzip", "zstd"] as const)("batches are compressed with %s", async (compression) => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic, compression });
  const values = Array.from({ length: 100 }, (_, i) => `the same text over and over again, ${i}`);
  await producer.send(values.map((value) => ({ value })));
  const { headers, values: found } = await stored(cluster.url, topic);
  expect(headers[0]?.compression).toBe({ gzip: 1, zstd: 4 }[compression]);
  expect(headers[0]?.sizeInBytes).toBeLessThan(1_000);
  expect(found).toEqual(values);
});

test("a record that no batch can hold is refused, and the others are not", async () => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic, maxRequestSize: 1_000 });
  const large = producer.send({ value: "x".repeat(1_000) });
  const small = producer.send({ value: "x" });
  await expect(large).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
  await expect(small).resolves.toMatchObject({ offset: 0 });
});

test("a batch larger than what the topic takes is cut into smaller ones", async () => {
  const topic = await cluster.newTopic();
  const gate = gatedFetch();
  const client = cluster.client({ fetch: gate.fetch });
  const producer = client.producer({ topic, lingerMs: 0 });
  const first = producer.send({ value: "first" });
  await gate.firstArrived;
  // The producer knows the topic by now; it does not know of this change.
  await client.topics.alter(topic, { configs: { "max.message.bytes": 2_000 } });
  const values = Array.from({ length: 500 }, (_, i) => `value ${i}`);
  const others = producer.send(values.map((value) => ({ value })));
  gate.open();
  await Promise.all([first, others]);
  const { headers, values: found } = await stored(cluster.url, topic);
  expect(found).toEqual(["first", ...values]);
  expect(Math.max(...headers.map(({ sizeInBytes }) => sizeInBytes))).toBeLessThanOrEqual(2_000);
  // Cutting has not made a hole in the sequences.
  expect(headers.map(({ baseSequence }) => baseSequence)).toEqual(
    headers.map(({ baseOffset }) => baseOffset),
  );
});

test("send() waits for room, in order, and says so when there is none in time", async () => {
  const topic = await cluster.newTopic();
  const gate = gatedFetch();
  const producer = cluster
    .client({ fetch: gate.fetch })
    .producer({ topic, bufferMemory: 10_000, maxBlockMs: 200, lingerMs: 0 });
  const fits = producer.send({ value: "x".repeat(9_000) });
  const waits = producer.send({ value: "y".repeat(9_000) });
  const waitsBehind = producer.send({ value: "z" });
  await expect(waits).rejects.toMatchObject({ code: "REQUEST_TIMED_OUT" });
  gate.open();
  await expect(fits).resolves.toMatchObject({ offset: 0 });
  await expect(waitsBehind).resolves.toMatchObject({ offset: 1 });
});

test("sendAll() reads its source no faster than the cluster takes the records", async () => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic, bufferMemory: 100_000 });
  let most = 0;
  function* source() {
    for (let i = 0; i < 20_000; i += 1) {
      most = Math.max(most, producer.bufferedBytes);
      yield { value: `record ${i}` };
    }
  }
  expect(await producer.sendAll(source())).toBe(20_000);
  expect(most).toBeLessThanOrEqual(100_000);
  expect(producer.bufferedBytes).toBe(0);
  const { values } = await stored(cluster.url, topic);
  expect(values).toEqual(Array.from({ length: 20_000 }, (_, i) => `record ${i}`));
});

test("sendAll() rejects with the first failure and reads no more of its source", async () => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic });
  let read = 0;
  async function* source() {
    for (;;) {
      read += 1;
      yield read === 3 ? { value: "x", partition: -1 } : { value: "x" };
    }
  }
  await expect(producer.sendAll(source())).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
  expect(read).toBe(3);
});

test("a record whose signal aborts while it waits is not sent", async () => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic, lingerMs: 100_000 });
  const abort = new AbortController();
  const withdrawn = producer.send({ value: "withdrawn" }, { signal: abort.signal });
  const kept = producer.send({ value: "kept" });
  abort.abort(new Error("changed my mind"));
  await expect(withdrawn).rejects.toThrow("changed my mind");
  await producer.flush();
  await kept;
  expect((await stored(cluster.url, topic)).values).toEqual(["kept"]);
});

test("close() delivers what was sent, and takes no more", async () => {
  const topic = await cluster.newTopic();
  const producer = cluster.client().producer({ topic, lingerMs: 100_000 });
  const sent = producer.send({ value: "last" });
  await producer.close();
  await expect(sent).resolves.toMatchObject({ offset: 0 });
  await expect(producer.send({ value: "late" })).rejects.toMatchObject({ code: "INVALID_REQUEST" });
});

test("close() with an aborted signal gives up what is left", async () => {
  const topic = await cluster.newTopic();
  const gate = gatedFetch();
  const producer = cluster.client({ fetch: gate.fetch }).producer({ topic, lingerMs: 0 });
  const underWay = producer.send({ value: "under way" });
  await gate.firstArrived;
  const waiting = producer.send({ value: "waiting" });
  const outcomes = Promise.allSettled([underWay, waiting]);
  const closed = producer.close({ signal: AbortSignal.abort() });
  gate.open();
  await closed;
  const [first, second] = await outcomes;
  expect(first).toMatchObject({ status: "rejected", reason: { mayBeStored: true } });
  expect(second).toMatchObject({ status: "rejected", reason: { mayBeStored: false } });
});

test("with acks 0 nobody waits for the answer", async () => {
  const topic = await cluster.newTopic();
  const gate = gatedFetch();
  const producer = cluster.client({ fetch: gate.fetch }).producer({ topic, acks: 0 });
  await expect(producer.send({ value: "fire and forget" })).resolves.toEqual({
    topic,
    partition: 0,
    offset: -1,
  });
  gate.open();
  await producer.close();
  expect((await stored(cluster.url, topic)).values).toEqual(["fire and forget"]);
});

test("producing to a topic that does not exist creates it where the cluster allows that", async () => {
  const producer = cluster.client().producer();
  await expect(producer.send({ topic: "made-by-producing", value: "x" })).resolves.toMatchObject({
    offset: 0,
  });
});

test("a partition that was added is found when a record names it", async () => {
  const topic = await cluster.newTopic(1);
  const client = cluster.client();
  const producer = client.producer({ topic });
  await producer.send({ value: "a" });
  await client.topics.alter(topic, { partitions: 2 });
  await expect(producer.send({ value: "b", partition: 1 })).resolves.toMatchObject({
    partition: 1,
    offset: 0,
  });
  await expect(producer.send({ value: "c", partition: 2 })).rejects.toMatchObject({
    code: "UNKNOWN_TOPIC_OR_PARTITION",
  });
});

test("options that cannot be are refused by name", () => {
  const client = cluster.client();
  expect(() => client.producer({ lingerMs: -1 })).toThrow("lingerMs");
  expect(() => client.producer({ maxRequestSize: 2_000_000 })).toThrow("maxRequestSize");
  expect(() => client.producer({ acks: 0, idempotence: true })).toThrow("idempotence");
  // @ts-expect-error the SDK reads snappy, but does not write it
  expect(() => client.producer({ compression: "snappy" })).toThrow("compression");
});
