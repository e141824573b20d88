import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeRequest } from "../../src/kafka/frame.ts";
import { apiVersionsApi } from "../../src/kafka/messages/api-versions.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { deleteTopicsApi } from "../../src/kafka/messages/delete-topics.ts";
import { describeConfigsApi } from "../../src/kafka/messages/describe-configs.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { incrementalAlterConfigsApi } from "../../src/kafka/messages/incremental-alter-configs.ts";
import { initProducerIdApi } from "../../src/kafka/messages/init-producer-id.ts";
import { listOffsetsApi } from "../../src/kafka/messages/list-offsets.ts";
import { metadataApi } from "../../src/kafka/messages/metadata.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { syncGroupApi } from "../../src/kafka/messages/sync-group.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { errorRow } from "../../src/model/errors.ts";
import { KAFKA_FRAME_BYTES_MAX } from "../../src/model/limits.ts";
import { findApi } from "./find-api.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

let platform: KafkaPlatform;
const clients: RawClient[] = [];

beforeAll(async () => {
  platform = await startKafkaPlatform();
});
afterAll(async () => {
  for (const client of clients) client.close();
  await platform.stop();
});

async function newClient(): Promise<RawClient> {
  const [address] = platform.brokers;
  if (address === undefined) throw new Error("the platform has no Kafka port");
  const client = await RawClient.connect(address);
  clients.push(client);
  return client;
}

let topicCount = 0;

async function newTopic(client: RawClient, numPartitions = 1): Promise<{ name: string; id: string }> {
  const name = `topic-${++topicCount}`;
  const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
  const { topics } = await client.ask(createTopicsApi, 7, { topics: [topic] });
  return { name, id: topics[0]?.topicId ?? "" };
}

function batchOf(...values: readonly string[]): Uint8Array {
  const timestamp = Date.now();
  return encodeBatch(values.map((value) => ({ timestamp, key: null, value: Buffer.from(value) })));
}

function produceRequest(name: string, batches: Readonly<Record<number, Uint8Array>>, acks = -1) {
  const partitionData = Object.entries(batches).map(([index, records]) => ({
    index: Number(index),
    records,
  }));
  return { acks, timeoutMs: 30_000, topicData: [{ name, topicId: "", partitionData }] };
}

const UNKNOWN_TOPIC_OR_PARTITION = 3;

async function errorOf(client: RawClient, name: string): Promise<number | undefined> {
  const request = { topics: [{ name, topicId: "" }], allowAutoTopicCreation: false };
  return (await client.ask(metadataApi, 8, request)).topics[0]?.errorCode;
}

interface Wanted {
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly offsets: Readonly<Record<number, number>>;
}

function fetchRequest(name: string, { maxWaitMs = 0, minBytes = 1, maxBytes = 1_000_000, offsets }: Wanted) {
  const partitions = Object.entries(offsets).map(([partition, fetchOffset]) => ({
    partition: Number(partition),
    fetchOffset,
    partitionMaxBytes: 1_000_000,
  }));
  return { maxWaitMs, minBytes, maxBytes, topics: [{ topic: name, topicId: "", partitions }] };
}

async function valuesOf(client: RawClient, name: string, wanted: Wanted): Promise<string[]> {
  const { responses } = await client.ask(fetchApi, 12, fetchRequest(name, wanted));
  const partitions = responses.flatMap((topic) => topic.partitions);
  expect(partitions.map(({ errorCode }) => errorCode)).toEqual(partitions.map(() => 0));
  return partitions.flatMap(({ records }) =>
    [...decodeBatches(records ?? new Uint8Array())].map(({ value }) => Buffer.from(value ?? []).toString()),
  );
}

describe("a connection", () => {
  it("answers pipelined requests in their order", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    const waiting = client.send(fetchApi, 12, fetchRequest(name, { maxWaitMs: 300, offsets: { 0: 0 } }));
    const asked = [1, 2, 3].map(() => client.send(metadataApi, 9, { topics: [{ topicId: "", name }] }));
    await client.receive(fetchApi, 12, waiting);
    for (const correlationId of asked) {
      const { topics } = await client.receive(metadataApi, 9, correlationId);
      expect(topics[0]?.name).toBe(name);
    }
  });

  it("appends the produce requests of a client in their order, without waiting for answers", async () => {
    const client = await newClient();
    const { name } = await newTopic(client, 2);
    const values = Array.from({ length: 60 }, (_, index) => String(index));
    const sent = values.map((value) =>
      client.send(produceApi, 8, produceRequest(name, { 0: batchOf(value), 1: batchOf(value) })),
    );
    for (const correlationId of sent) await client.receive(produceApi, 8, correlationId);
    expect(await valuesOf(client, name, { offsets: { 0: 0 } })).toEqual(values);
    expect(await valuesOf(client, name, { offsets: { 1: 0 } })).toEqual(values);
  });

  it("lets a request see what those before it have changed", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    const produced = client.send(produceApi, 8, produceRequest(name, { 0: batchOf("a", "b", "c") }));
    const partitions = [{ partitionIndex: 0, timestamp: -1 }];
    const listed = client.send(listOffsetsApi, 5, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name, partitions }],
      timeoutMs: 0,
    });
    await client.receive(produceApi, 8, produced);
    const { topics } = await client.receive(listOffsetsApi, 5, listed);
    expect(topics[0]?.partitions[0]?.offset).toBe(3);
  });

  it("sends no answer to a produce request with acks 0", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    client.send(produceApi, 8, produceRequest(name, { 0: batchOf("silent") }, 0));
    expect(await valuesOf(client, name, { maxWaitMs: 5_000, offsets: { 0: 0 } })).toEqual(["silent"]);
  });

  it("ends when a produce request with acks 0 fails, for there is no answer that could say it", async () => {
    const client = await newClient();
    client.send(produceApi, 8, produceRequest("no-such-topic", { 0: batchOf("lost") }, 0));
    expect(await client.closed()).toBe(0);
  });

  it("puts together a frame that comes in pieces, and takes apart frames that come in one", async () => {
    const client = await newClient();
    const request = Buffer.from("0000000c 0012 0000 00000007 0002 6162".replaceAll(" ", ""), "hex");
    for (const byte of request) {
      client.sendBytes(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.receive(apiVersionsApi, 0, 7)).errorCode).toBe(0);
    client.sendBytes(Buffer.concat([request, request, request]));
    for (let count = 0; count < 3; count++) await client.receive(apiVersionsApi, 0, 7);
  });

  it("takes frames of megabytes", async () => {
    const client = await newClient();
    const { name } = await newTopic(client, 8);
    const value = "x".repeat(1_000_000);
    const batch = batchOf(value);
    const batches = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [index, batch]));
    const { responses } = await client.ask(produceApi, 8, produceRequest(name, batches));
    expect(responses[0]?.partitionResponses.map(({ errorCode }) => errorCode)).toEqual(Array(8).fill(0));
    expect(await valuesOf(client, name, { offsets: { 7: 0 } })).toEqual([value]);
  });
});

describe("a client that does not keep to the protocol", () => {
  const oversized = Buffer.alloc(4);
  oversized.writeInt32BE(KAFKA_FRAME_BYTES_MAX + 1);

  it.each([
    ["announces a frame that is too large", oversized],
    ["announces a frame of negative size", Buffer.from("ffffffff", "hex")],
    ["speaks HTTP", Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")],
    ["sends less than a header", Buffer.from("00000003000102", "hex")],
    ["asks for an API that does not exist", Buffer.from("0000000a7fff000000000001ffff", "hex")],
    ["asks for a version that does not exist", Buffer.from("0000000a0003006300000001ffff", "hex")],
    [
      "sends a request that is cut short",
      Buffer.from("0000000a000300040000000100 00".replaceAll(" ", ""), "hex"),
    ],
    ["claims two billion topics", Buffer.from("0000000e0003000100000001ffff7fffffff", "hex")],
  ])("that %s is cut off, and nobody else", async (_, bytes) => {
    const [good, bad] = [await newClient(), await newClient()];
    bad.sendBytes(bytes);
    expect(await bad.closed()).toBe(0);
    expect((await good.ask(apiVersionsApi, 0, API_VERSIONS)).errorCode).toBe(0);
  });

  it("does not have a large request carried out that it breaks off", async () => {
    const client = await newClient();
    const name = `broken-off-${Date.now()}`;
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    const far = { name: "x", value: "y".repeat(30_000) };
    const request = { topics: [topic, { ...topic, name: `${name}-2`, configs: [far] }], timeoutMs: 0 };
    const header = { correlationId: 1, clientId: "raw" };
    const bytes = concatBytes(encodeRequest(createTopicsApi, 4, header, request));
    // The last bytes are zero: whoever takes what is missing for zeros has the whole request.
    client.sendBytes(bytes.subarray(0, -3));
    client.end();
    expect(await client.closed()).toBe(0);
    expect(await errorOf(await newClient(), name)).toBe(UNKNOWN_TOPIC_OR_PARTITION);
  });

  it("has all requests answered before it is cut off that came before the bad one", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    for (let count = 0; count < 3; count++)
      client.send(produceApi, 8, produceRequest(name, { 0: batchOf("a") }));
    client.sendBytes(Buffer.from("0000000a7fff000000000001ffff", "hex"));
    expect(await client.closed()).toBe(3);
  });

  it("is told, in version 0, which versions of ApiVersions there are", async () => {
    const client = await newClient();
    client.sendBytes(Buffer.from("0000000a0012006300000005ffff", "hex"));
    const { errorCode, apiKeys } = await client.receive(apiVersionsApi, 0, 5);
    expect(errorCode).toBe(35);
    expect(apiKeys).toContainEqual({ apiKey: 18, minVersion: 0, maxVersion: 5 });
  });
});

const API_VERSIONS = { clientSoftwareName: "raw", clientSoftwareVersion: "1", clusterId: null };

describe("ApiVersions", () => {
  it("advertises what is answered, in all of its versions, and Produce from 0 on", async () => {
    const client = await newClient();
    const { apiKeys } = await client.ask(apiVersionsApi, 4, API_VERSIONS);
    for (const { apiKey, minVersion, maxVersion } of apiKeys) {
      const { versions } = findApi(apiKey);
      expect({ apiKey, minVersion, maxVersion }).toEqual({
        apiKey,
        minVersion: apiKey === produceApi.key ? 0 : versions.first,
        maxVersion: versions.last,
      });
    }
    const [describeAcls, shareFetch] = [29, 78];
    expect(apiKeys.map(({ apiKey }) => apiKey)).not.toContain(describeAcls);
    expect(apiKeys.map(({ apiKey }) => apiKey)).not.toContain(shareFetch);
  });

  it("tells that every transaction has an epoch of its own", async () => {
    const client = await newClient();
    const { finalizedFeatures, supportedFeatures } = await client.ask(apiVersionsApi, 4, API_VERSIONS);
    expect(supportedFeatures).toEqual([{ name: "transaction.version", minVersion: 0, maxVersion: 2 }]);
    expect(finalizedFeatures).toEqual([
      { name: "transaction.version", maxVersionLevel: 2, minVersionLevel: 2 },
    ]);
  });

  it("describes the configs of groups, and says where they are changed", async () => {
    const client = await newClient();
    const group = { resourceType: 32, resourceName: "any" };
    const described = await client.ask(describeConfigsApi, 4, {
      resources: [{ ...group, configurationKeys: null }],
      includeSynonyms: false,
      includeDocumentation: false,
    });
    expect(described.results[0]?.configs).toMatchObject([
      { name: "consumer.heartbeat.interval.ms", value: "5000", readOnly: true },
      { name: "consumer.session.timeout.ms", value: "45000", readOnly: true },
    ]);
    const configs = [{ name: "consumer.session.timeout.ms", configOperation: 0, value: "50000" }];
    const altered = await client.ask(incrementalAlterConfigsApi, 1, {
      resources: [{ ...group, configs }],
      validateOnly: false,
    });
    expect(altered.responses[0]?.errorMessage).toContain("variables of the Worker");
  });

  it("sends a client away that thinks it is talking to another cluster", async () => {
    const client = await newClient();
    const stranger = { ...API_VERSIONS, clusterId: "another" };
    expect((await client.ask(apiVersionsApi, 5, stranger)).errorCode).toBe(129);
  });
});

describe("Fetch", () => {
  it("at the log end waits until there is something", async () => {
    const [reader, writer] = [await newClient(), await newClient()];
    const { name } = await newTopic(writer, 3);
    const offsets = { 0: 0, 1: 0, 2: 0 };
    const waiting = valuesOf(reader, name, { maxWaitMs: 30_000, offsets });
    await writer.ask(produceApi, 8, produceRequest(name, { 1: batchOf("here") }));
    expect(await waiting).toEqual(["here"]);
  });

  it("waits for min_bytes over all of its partitions together", async () => {
    const [reader, writer] = [await newClient(), await newClient()];
    const { name } = await newTopic(writer, 2);
    const batch = batchOf("0123456789");
    const minBytes = batch.length + 1;
    const waiting = valuesOf(reader, name, { maxWaitMs: 30_000, minBytes, offsets: { 0: 0, 1: 0 } });
    await writer.ask(produceApi, 8, produceRequest(name, { 0: batchOf("0123456789") }));
    await writer.ask(produceApi, 8, produceRequest(name, { 1: batchOf("0123456789") }));
    expect(await waiting).toEqual(["0123456789", "0123456789"]);
  });

  it("has all of max_bytes for what it reads again when there is more", async () => {
    const [reader, writer] = [await newClient(), await newClient()];
    const { name } = await newTopic(writer);
    const [large, small] = ["x".repeat(500), "y".repeat(300)];
    const maxBytes = batchOf(large).length + batchOf(small).length;
    await writer.ask(produceApi, 8, produceRequest(name, { 0: batchOf(large) }));
    const wanted = { maxWaitMs: 50_000, minBytes: maxBytes, maxBytes, offsets: { 0: 0 } };
    const waiting = valuesOf(reader, name, wanted);
    await writer.ask(produceApi, 8, produceRequest(name, { 0: batchOf(small) }));
    expect(await waiting).toEqual([large, small]);
  }, 20_000);

  it("gives up waiting after max_wait_ms, with the bounds of the log", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    await client.ask(produceApi, 8, produceRequest(name, { 0: batchOf("a", "b") }));
    for (let round = 0; round < 3; round++) {
      const request = fetchRequest(name, { maxWaitMs: 20, offsets: { 0: 2 } });
      const { responses } = await client.ask(fetchApi, 12, request);
      expect(responses[0]?.partitions[0]).toMatchObject({
        errorCode: 0,
        highWatermark: 2,
        logStartOffset: 0,
      });
    }
  });

  it("gives the first batch even if it is larger than max_bytes, and no more than max_bytes otherwise", async () => {
    const client = await newClient();
    const { name } = await newTopic(client, 2);
    for (const value of ["a", "b", "c"]) {
      await client.ask(produceApi, 8, produceRequest(name, { 0: batchOf(value), 1: batchOf(value) }));
    }
    const offsets = { 0: 0, 1: 0 };
    expect(await valuesOf(client, name, { maxBytes: 1, offsets })).toEqual(["a"]);
    expect(await valuesOf(client, name, { maxBytes: 4 * batchOf("a").length, offsets })).toHaveLength(4);
  });

  it("shares max_bytes among the partitions, and gives what one leaves to those that have more", async () => {
    const client = await newClient();
    const { name } = await newTopic(client, 3);
    const batch = (value: string) => batchOf(value.padEnd(50_000, "."));
    for (const value of ["a", "b", "c", "d", "e"]) {
      await client.ask(produceApi, 8, produceRequest(name, { 0: batch(value), 2: batch(value) }));
    }
    await client.ask(produceApi, 8, produceRequest(name, { 1: batch("a") }));
    const read = async (maxBytes: number) => {
      const request = fetchRequest(name, { maxBytes, offsets: { 0: 0, 1: 0, 2: 0 } });
      const { responses } = await client.ask(fetchApi, 12, request);
      return responses.flatMap((topic) =>
        topic.partitions.map(({ records }) => Math.floor((records?.length ?? 0) / batch("").length)),
      );
    };
    expect(await read(1_000_000)).toEqual([5, 1, 5]);
    expect(await read(11 * batch("").length)).toEqual([5, 1, 5]);
    const [first = 0, ...others] = await read(7 * batch("").length);
    expect(others[0]).toBe(1);
    expect(first + (others[1] ?? 0)).toBe(6);
    expect(first).toBeGreaterThan(1);
    expect(first).toBeLessThan(5);
  });

  it("refuses a SyncGroup that must name the group's protocol and does not", async () => {
    const client = await newClient();
    const asked = { groupId: "unnamed", generationId: 1, memberId: "m", assignments: [] };
    const codes = [];
    for (const version of [4, 5]) codes.push((await client.ask(syncGroupApi, version, asked)).errorCode);
    expect(codes).toEqual([errorRow("UNKNOWN_MEMBER_ID").code, errorRow("INCONSISTENT_GROUP_PROTOCOL").code]);
  });

  it("names every partition that was asked for, also where the answer was full before it", async () => {
    const client = await newClient();
    const partitions = 20;
    const { name } = await newTopic(client, partitions);
    const indexes = Array.from({ length: partitions }, (_, index) => index);
    const batches = Object.fromEntries(indexes.map((index) => [index, batchOf("full")]));
    await client.ask(produceApi, 8, produceRequest(name, batches));
    const offsets = Object.fromEntries(indexes.map((index) => [index, 0]));
    const asked = fetchRequest(name, { maxWaitMs: 30_000, minBytes: 1_000, maxBytes: 100, offsets });
    const { responses } = await client.ask(fetchApi, 12, asked);
    const answered = responses.flatMap((topic) => topic.partitions);
    expect(answered.map(({ partitionIndex }) => partitionIndex)).toEqual(indexes);
    expect(answered.map(({ errorCode }) => errorCode)).toEqual(indexes.map(() => 0));
    expect(answered.filter(({ records }) => (records?.length ?? 0) > 0)).toHaveLength(1);
  });

  it("tells what is wrong with each partition, and serves the others", async () => {
    const client = await newClient();
    const { name, id } = await newTopic(client, 2);
    await client.ask(produceApi, 8, produceRequest(name, { 0: batchOf("a") }));
    const offsets = { 0: 0, 1: 5, 2: 0 };
    const asked = fetchRequest(name, { offsets });
    const codes = async (version: number, topicId: string) => {
      const topics = asked.topics.map((topic) => ({ ...topic, topicId }));
      const { responses } = await client.ask(fetchApi, version, { ...asked, topics });
      const partitions = responses.flatMap((topic) => topic.partitions);
      return Object.fromEntries(
        partitions.map(({ partitionIndex, errorCode }) => [partitionIndex, errorCode]),
      );
    };
    expect(await codes(12, "")).toEqual({ 0: 0, 1: 1, 2: 3 });
    expect(await codes(17, id)).toEqual({ 0: 0, 1: 1, 2: 3 });
    expect(await codes(17, "AAAAAAAAAAAAAAAAAAAAAA")).toEqual({ 0: 100, 1: 100, 2: 100 });
  });

  it("ends its wait when the topic is deleted, and says so in the words of its version", async () => {
    const [reader, admin] = [await newClient(), await newClient()];
    for (const [version, code] of [
      [11, 3],
      [17, 100],
    ] as const) {
      const { name, id } = await newTopic(admin);
      await admin.ask(produceApi, 8, produceRequest(name, { 0: batchOf("last") }));
      const { topics } = fetchRequest(name, { offsets: { 0: 1 } });
      const request = {
        maxWaitMs: 60_000,
        minBytes: 1,
        topics: topics.map((topic) => ({ ...topic, topicId: id })),
      };
      const waiting = reader.ask(fetchApi, version, request);
      await admin.ask(deleteTopicsApi, 6, { topics: [{ name }], timeoutMs: 1_000 });
      expect((await waiting).responses[0]?.partitions[0]?.errorCode).toBe(code);
    }
  });

  it("refuses a session, for none is kept", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    const request = { ...fetchRequest(name, { offsets: { 0: 0 } }), sessionId: 5, sessionEpoch: 1 };
    expect((await client.ask(fetchApi, 12, request)).errorCode).toBe(70);
  });

  it("checks the leader epoch that the client believes in", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    const request = fetchRequest(name, { offsets: { 0: 0 } });
    const believing = (currentLeaderEpoch: number) => ({
      ...request,
      topics: request.topics.map((topic) => ({
        ...topic,
        partitions: topic.partitions.map((partition) => ({ ...partition, currentLeaderEpoch })),
      })),
    });
    await client.ask(produceApi, 8, produceRequest(name, { 0: batchOf("a") }));
    const { responses } = await client.ask(fetchApi, 12, believing(7));
    expect(responses[0]?.partitions[0]?.errorCode).toBe(75);
  });
});

describe("Produce", () => {
  it("names the error of each partition", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    const corrupt = batchOf("corrupt");
    corrupt[corrupt.length - 1] = 1;
    const codes = async (records: Uint8Array, index = 0, acks = -1) => {
      const { responses } = await client.ask(produceApi, 8, produceRequest(name, { [index]: records }, acks));
      return responses[0]?.partitionResponses.map(({ errorCode }) => errorCode);
    };
    expect(await codes(corrupt)).toEqual([2]);
    expect(await codes(new Uint8Array(0))).toEqual([87]);
    expect(await codes(batchOf("a"), 1)).toEqual([3]);
    expect(await codes(batchOf("a"), 0, 2)).toEqual([21]);
    expect(await codes(batchOf("x".repeat(1_100_000)))).toEqual([10]);
    expect(await codes(batchOf("good"))).toEqual([0]);
    expect(await valuesOf(client, name, { offsets: { 0: 0 } })).toEqual(["good"]);
  });

  it("answers a duplicate of an idempotent producer with its first offset", async () => {
    const client = await newClient();
    const { name } = await newTopic(client);
    const { producerId, producerEpoch } = await client.ask(initProducerIdApi, 4, {
      transactionalId: null,
      transactionTimeoutMs: 0,
    });
    const timestamp = Date.now();
    const send = async (baseSequence: number) => {
      const records = [{ timestamp, key: null, value: Buffer.from("once") }];
      const batch = encodeBatch(records, { producerId, producerEpoch, baseSequence });
      const { responses } = await client.ask(produceApi, 8, produceRequest(name, { 0: batch }));
      const { errorCode, baseOffset } = responses[0]?.partitionResponses[0] ?? {};
      return [errorCode, baseOffset];
    };
    expect([await send(0), await send(1), await send(0), await send(5)]).toEqual([
      [0, 0],
      [0, 1],
      [0, 0],
      [45, -1],
    ]);
  });

  it("finds topics by id from version 13 on", async () => {
    const client = await newClient();
    const { name, id } = await newTopic(client);
    const request = produceRequest("", { 0: batchOf("by id") });
    const byId = (topicId: string) => ({
      ...request,
      topicData: request.topicData.map((one) => ({ ...one, topicId })),
    });
    const { responses } = await client.ask(produceApi, 13, byId(id));
    expect(responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 });
    const unknown = await client.ask(produceApi, 13, byId("AAAAAAAAAAAAAAAAAAAAAA"));
    expect(unknown.responses[0]?.partitionResponses[0]?.errorCode).toBe(100);
    expect(await valuesOf(client, name, { offsets: { 0: 0 } })).toEqual(["by id"]);
  });
});
