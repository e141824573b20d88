/** What becomes of records when requests and answers are lost. */

import { once } from "node:events";
import { createServer } from "node:http";
import { expect, test } from "vitest";
import { DeliveryError } from "../../src/client/index.ts";
import { type FetchLike, platformFetch } from "../../src/client/platform.ts";
import { useCluster } from "./cluster.ts";
import type { Fault } from "./faulty-proxy.ts";
import { stored } from "./stored.ts";

const cluster = useCluster();

const isProduce = (text: string) => /POST \/v1\/topics\/[^/ ]+\/records/.test(text);

/** Faults of every kind, by a seed that a failure prints. */
function randomFaults(seed: number): (text: string) => Fault | undefined {
  let state = seed;
  return (text) => {
    if (!text.startsWith("POST")) return undefined;
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const dice = state / 2 ** 32;
    if (dice < 0.2) return "drop request";
    return dice < 0.4 ? "drop answer" : undefined;
  };
}

test("however often requests and answers are lost, each record is stored once and in order", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const topic = await cluster.newTopic(3);
  cluster.proxy.fault = randomFaults(seed);
  const producer = cluster.client({ url: cluster.proxy.url }).producer({
    topic,
    lingerMs: 0,
    batchSize: 200,
    maxRequestSize: 400,
    retryBackoffMs: 1,
    retryBackoffMaxMs: 5,
  });
  const sent = await producer.send(
    Array.from({ length: 1_500 }, (_, i) => ({ value: `${i}`, partition: i % 3 })),
  );
  cluster.proxy.fault = () => undefined;
  for (const partition of [0, 1, 2]) {
    const { values, headers } = await stored(cluster.url, topic, partition);
    const expected = Array.from({ length: 500 }, (_, i) => `${i * 3 + partition}`);
    expect(values, `seed ${seed}`).toEqual(expected);
    expect(headers.length, "so few batches have met no faults").toBeGreaterThan(20);
    expect(headers.map(({ baseSequence }) => baseSequence)).toEqual(
      headers.map(({ baseOffset }) => baseOffset),
    );
  }
  for (const [i, { partition, offset }] of sent.entries())
    expect(offset * 3 + partition, `seed ${seed}`).toBe(i);
});

test("without idempotence, a lost answer stores its batch twice", async () => {
  const topic = await cluster.newTopic();
  let lost = 0;
  cluster.proxy.fault = (text) => (isProduce(text) && lost++ === 0 ? "drop answer" : undefined);
  const producer = cluster.client({ url: cluster.proxy.url }).producer({ topic, idempotence: false });
  await producer.send({ value: "twice" });
  expect((await stored(cluster.url, topic)).values).toEqual(["twice", "twice"]);
});

test("after a batch of unknown outcome was given up, the partition goes on in a new epoch", async () => {
  const topic = await cluster.newTopic(2);
  const bodies: Uint8Array<ArrayBuffer>[] = [];
  const fetch: FetchLike = (url, options) => {
    if (url.includes("/records") && options.body instanceof Uint8Array) bodies.push(options.body.slice());
    return platformFetch(url, options);
  };
  const producer = cluster
    .client({ url: cluster.proxy.url, fetch })
    .producer({ topic, deliveryTimeoutMs: 2_000, retryBackoffMs: 10 });
  cluster.proxy.fault = () => undefined;
  await producer.send([
    { value: "a", partition: 0 },
    { value: "other partition", partition: 1 },
  ]);
  cluster.proxy.fault = (text) => (isProduce(text) ? "drop request" : undefined);
  const firstLost = bodies.length;
  const failed = await producer.send({ value: "b", partition: 0 }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(DeliveryError);
  expect(failed).toMatchObject({ mayBeStored: true, retriable: true });
  const lost = bodies.slice(firstLost);
  expect(lost.length).toBeGreaterThan(1);
  for (const body of lost) expect(body, "a retry sends the same bytes").toEqual(lost[0]);

  cluster.proxy.fault = () => undefined;
  await producer.send({ value: "c", partition: 0 });
  await producer.send({ value: "other partition again", partition: 1 });
  const [before, after] = (await stored(cluster.url, topic, 0)).headers;
  expect(after?.producerId).toBe(before?.producerId);
  expect([before?.producerEpoch, before?.baseSequence]).toEqual([0, 0]);
  expect([after?.producerEpoch, after?.baseSequence]).toEqual([1, 0]);
  const others = (await stored(cluster.url, topic, 1)).headers;
  expect(others.map(({ producerEpoch, baseSequence }) => [producerEpoch, baseSequence])).toEqual([
    [0, 0],
    [0, 1],
  ]);

  // What of the lost batch was still on its way comes too late.
  const late = await fetch(`${cluster.url}/v1/topics/${topic}/records?partition=0`, {
    method: "POST",
    headers: { "content-type": "application/vnd.kafka.recordbatch" },
    body: lost[0] ?? new Uint8Array(),
    signal: AbortSignal.timeout(10_000),
  });
  expect(await late.text()).toContain("INVALID_PRODUCER_EPOCH");
  expect((await stored(cluster.url, topic, 0)).values).toEqual(["a", "c"]);
});

test("a record that could not be sent in time was not stored, and says so", async () => {
  const topic = await cluster.newTopic();
  cluster.proxy.fault = (text) => (text.startsWith("POST /v1/producers") ? "drop request" : undefined);
  const producer = cluster
    .client({ url: cluster.proxy.url })
    .producer({ topic, deliveryTimeoutMs: 300, retryBackoffMs: 10 });
  const failed = await producer.send({ value: "x" }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(DeliveryError);
  expect(failed).toMatchObject({ code: "NETWORK_EXCEPTION", mayBeStored: false });
  cluster.proxy.fault = () => undefined;
  expect((await stored(cluster.url, topic)).values).toEqual([]);
});

test("a batch that the cluster refuses is not sent again, and the next ones go on", async () => {
  const topic = await cluster.newTopic(1, { "message.timestamp.after.max.ms": "1000" });
  let requests = 0;
  const fetch: FetchLike = (url, options) => {
    if (url.includes("/records")) requests += 1;
    return platformFetch(url, options);
  };
  const producer = cluster.client({ fetch }).producer({ topic });
  const future = producer.send({ value: "from the future", timestamp: Date.now() + 3_600_000 });
  await expect(future).rejects.toMatchObject({
    code: "INVALID_TIMESTAMP",
    retriable: false,
    mayBeStored: false,
  });
  expect(requests).toBe(1);
  await expect(producer.send({ value: "from now" })).resolves.toMatchObject({ offset: 0 });
});

test("with retries 0 a batch is sent once", async () => {
  const topic = await cluster.newTopic();
  let requests = 0;
  cluster.proxy.fault = (text) => {
    if (!isProduce(text)) return undefined;
    requests += 1;
    return "drop request";
  };
  const producer = cluster.client({ url: cluster.proxy.url }).producer({ topic, retries: 0 });
  await expect(producer.send({ value: "once" })).rejects.toMatchObject({ code: "NETWORK_EXCEPTION" });
  expect(requests).toBe(1);
  cluster.proxy.fault = () => undefined;
});

test("a cluster that never answers fails records after maxBlockMs, too", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const address = silent.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const client = cluster.client({ url: `http://127.0.0.1:${port}`, requestTimeoutMs: 600_000 });
  const producer = client.producer({ topic: "anything", maxBlockMs: 300 });
  await expect(producer.send({ value: "x" })).rejects.toMatchObject({ code: "REQUEST_TIMED_OUT" });
  await producer.close();
  silent.closeAllConnections();
  silent.close();
});

test("a cluster that cannot be reached fails records after maxBlockMs, and says why", async () => {
  // The client retries metadata for longer than this test may take; the producer's own time counts.
  const client = cluster.client({ url: "http://127.0.0.1:1", requestTimeoutMs: 600_000, retryBackoffMs: 10 });
  const producer = client.producer({ topic: "anything", maxBlockMs: 300, retryBackoffMs: 10 });
  await expect(producer.send({ value: "x" })).rejects.toMatchObject({
    code: "NETWORK_EXCEPTION",
    message: expect.stringContaining("127.0.0.1:1"),
  });
  await producer.close();
});
