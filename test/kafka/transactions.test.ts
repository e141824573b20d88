import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addPartitionsToTxnApi } from "../../src/kafka/messages/add-partitions-to-txn.ts";
import { describeProducersApi } from "../../src/kafka/messages/describe-producers.ts";
import { describeTransactionsApi } from "../../src/kafka/messages/describe-transactions.ts";
import { findCoordinatorApi } from "../../src/kafka/messages/find-coordinator.ts";
import { initProducerIdApi } from "../../src/kafka/messages/init-producer-id.ts";
import { listOffsetsApi } from "../../src/kafka/messages/list-offsets.ts";
import { listTransactionsApi } from "../../src/kafka/messages/list-transactions.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { type ErrorName, errorRow } from "../../src/model/errors.ts";
import { HELD_PATH, type Held } from "./inspection.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";
import {
  createTopic,
  fetched,
  type ProducerVersions,
  READ_COMMITTED,
  sendFetch,
  TransactionalClient,
} from "./transactional-client.ts";

/** As kafkajs, librdkafka, an older Java client, @platformatic/kafka and Java since KIP-890 ask. */
const GENERATIONS: readonly ProducerVersions[] = [
  { init: 0, addPartitions: 0, produce: 3, endTxn: 0 },
  { init: 1, addPartitions: 1, produce: 7, endTxn: 1 },
  { init: 4, addPartitions: 3, produce: 10, endTxn: 3 },
  { init: 5, addPartitions: 5, produce: 11, endTxn: 4 },
  { init: 5, addPartitions: undefined, produce: 12, endTxn: 5 },
  { init: 5, addPartitions: undefined, produce: 13, endTxn: 5 },
];
const LATEST_GENERATION: ProducerVersions = { init: 5, addPartitions: undefined, produce: 13, endTxn: 5 };
const codeOf = (name: ErrorName) => errorRow(name).code;

let platform: KafkaPlatform;
let client: RawClient;
let reader: RawClient;
let names = 0;
beforeAll(async () => {
  const entry = fileURLToPath(new URL("./inspected-worker.ts", import.meta.url).href);
  platform = await startKafkaPlatform({ entry });
  const [broker] = platform.brokers;
  if (broker === undefined) throw new Error("there is no broker");
  [client, reader] = await Promise.all([RawClient.connect(broker), RawClient.connect(broker)]);
});
afterAll(async () => {
  client.close();
  reader.close();
  await platform.stop();
});

const newTopic = () => createTopic(client, `topic-${++names}`);

async function newProducer(versions = LATEST_GENERATION): Promise<TransactionalClient> {
  const producer = new TransactionalClient(client, `producer-${++names}`, versions);
  await producer.init();
  return producer;
}

const textOf = (value: Uint8Array | null) => Buffer.from(value ?? []).toString();

/** What a consumer of the partition sees over HTTP, and where it goes on. */
async function readOverHttp(topic: string, isolation: string) {
  const url = `${platform.url}/v1/topics/${topic}/partitions/0/records?isolation=${isolation}`;
  const answer: { readonly records: { readonly value: string }[]; readonly next_offset: number } = await (
    await fetch(url)
  ).json();
  return { values: answer.records.map(({ value }) => value), next: answer.next_offset };
}

describe.each(GENERATIONS)("a transactional producer with %j", (versions) => {
  it("writes what readers see when it is committed, and not if it is aborted", async () => {
    const topic = await newTopic();
    const producer = await newProducer(versions);
    for (const [nth, committed] of [true, false, true].entries()) {
      expect(await producer.addPartition(topic.name)).toBe(0);
      expect(await producer.produce(topic, `${nth}a`)).toBe(0);
      expect(await producer.produce(topic, `${nth}b`)).toBe(0);
      expect(await producer.end(committed)).toBe(0);
    }
    const { records, abortedTransactions, lastStableOffset } = await fetched(
      reader,
      sendFetch(reader, topic.name, 0),
    );
    expect(lastStableOffset).toBe(9);
    expect(abortedTransactions).toEqual([{ producerId: producer.producerId, firstOffset: 3 }]);
    const all = [...decodeBatches(records ?? new Uint8Array())].map(({ value }) => textOf(value));
    expect(all).toEqual(["0a", "0b", "1a", "1b", "2a", "2b"]);
    expect(await readOverHttp(topic.name, "read_committed")).toEqual({
      values: ["0a", "0b", "2a", "2b"],
      next: 9,
    });
    expect((await readOverHttp(topic.name, "read_uncommitted")).values).toEqual(all);
  });

  it("is refused where it has not added the partition, in words that it knows", async () => {
    const topic = await newTopic();
    const producer = await newProducer(versions);
    const expected = {
      3: "INVALID_TXN_STATE",
      7: "INVALID_TXN_STATE",
      10: "INVALID_TXN_STATE",
      11: "TRANSACTION_ABORTABLE",
    }[versions.produce];
    expect(await producer.produce(topic, "a")).toBe(
      expected === undefined ? 0 : codeOf(expected as ErrorName),
    );
  });

  it("is fenced by the next one with its transactional id", async () => {
    const topic = await newTopic();
    const old = await newProducer(versions);
    await old.addPartition(topic.name);
    expect(await old.produce(topic, "old")).toBe(0);
    const next = new TransactionalClient(client, old.transactionalId, versions);
    await next.init();
    expect(await old.produce(topic, "late")).toBe(codeOf("INVALID_PRODUCER_EPOCH"));
    expect(await old.end(true)).toBe(
      codeOf(versions.endTxn < 2 ? "INVALID_PRODUCER_EPOCH" : "PRODUCER_FENCED"),
    );
    await next.addPartition(topic.name);
    expect(await next.produce(topic, "new")).toBe(0);
    expect(await next.end(true)).toBe(0);
    expect((await readOverHttp(topic.name, "read_committed")).values).toEqual(["new"]);
  });
});

describe("a read_committed Fetch", () => {
  it("waits for the end of a transaction, and reads nothing while others write behind it", async () => {
    const topic = await newTopic();
    const [first, second] = [await newProducer(), await newProducer()];
    expect(await first.produce(topic, "first")).toBe(0);
    const asked = sendFetch(reader, topic.name, 0, 60_000);
    const held = async (): Promise<Held> =>
      (
        await fetch(`${platform.url}${HELD_PATH}?object=${encodeURIComponent(`${topic.topicId}/0/0`)}`)
      ).json();
    await expect.poll(async () => (await held()).sockets).toBeGreaterThan(0);
    const before = (await held()).readBytes;
    for (let nth = 0; nth < 20; nth++) expect(await second.produce(topic, `second ${nth}`)).toBe(0);
    expect(await second.end(true)).toBe(0);
    expect((await held()).readBytes).toBe(before);
    expect(await first.end(true)).toBe(0);
    const { records } = await fetched(reader, asked);
    expect([...decodeBatches(records ?? new Uint8Array())]).toHaveLength(21);
  });

  it("at the last stable offset is answered without asking, also after it has moved", async () => {
    const topic = await newTopic();
    const producer = await newProducer();
    for (const value of ["a", "b", "c"]) {
      expect(await producer.produce(topic, value)).toBe(0);
      expect(await producer.end(true)).toBe(0);
    }
    for (const offset of [6, 6, 0, 6]) {
      const { lastStableOffset, highWatermark } = await fetched(
        reader,
        sendFetch(reader, topic.name, offset, 10),
      );
      expect([lastStableOffset, highWatermark]).toEqual([6, 6]);
    }
    expect(await producer.produce(topic, "open")).toBe(0);
    await expect
      .poll(async () => (await fetched(reader, sendFetch(reader, topic.name, 6, 10))).highWatermark)
      .toBe(7);
    const waiting = sendFetch(reader, topic.name, 6, 60_000);
    expect(await producer.end(false)).toBe(0);
    const { abortedTransactions, lastStableOffset } = await fetched(reader, waiting);
    expect(lastStableOffset).toBe(8);
    expect(abortedTransactions).toEqual([{ producerId: producer.producerId, firstOffset: 6 }]);
  });
});

it("ListOffsets tells read_committed readers the last stable offset", async () => {
  const topic = await newTopic();
  const producer = await newProducer();
  expect(await producer.produce(topic, "open")).toBe(0);
  const latest = async (isolationLevel: number) => {
    const { topics } = await client.ask(listOffsetsApi, 7, {
      replicaId: -1,
      isolationLevel,
      timeoutMs: 1_000,
      topics: [{ name: topic.name, partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
    });
    return topics[0]?.partitions[0]?.offset;
  };
  expect([await latest(0), await latest(READ_COMMITTED)]).toEqual([1, 0]);
  expect(await producer.end(true)).toBe(0);
  expect([await latest(0), await latest(READ_COMMITTED)]).toEqual([2, 2]);
});

it("what producers and transactions are doing can be asked", async () => {
  const topic = await newTopic();
  const producer = await newProducer();
  expect(await producer.produce(topic, "open")).toBe(0);
  const { transactionalId, producerId, producerEpoch } = producer;
  const { transactionStates } = await client.ask(describeTransactionsApi, 0, {
    transactionalIds: [transactionalId, "nobody"],
  });
  expect(transactionStates).toMatchObject([
    {
      errorCode: 0,
      transactionalId,
      transactionState: "Ongoing",
      transactionTimeoutMs: 60_000,
      producerId,
      producerEpoch,
      topics: [{ topic: topic.name, partitions: [0] }],
    },
    { errorCode: codeOf("TRANSACTIONAL_ID_NOT_FOUND"), transactionalId: "nobody" },
  ]);
  const { topics } = await client.ask(describeProducersApi, 0, {
    topics: [{ name: topic.name, partitionIndexes: [0] }],
  });
  expect(topics[0]?.partitions[0]?.activeProducers).toMatchObject([
    { producerId, producerEpoch, currentTxnStartOffset: 0 },
  ]);
});

it("transactional ids can be listed, by state, producer, age and name", async () => {
  const topic = await newTopic();
  const [open, idle] = [await newProducer(), await newProducer()];
  expect(await open.produce(topic, "open")).toBe(0);
  const listed = async (filters: {
    readonly stateFilters?: string[];
    readonly producerIdFilters?: number[];
    readonly durationFilter?: number;
    readonly transactionalIdPattern?: string;
  }) => {
    const { transactionStates, errorCode } = await client.ask(listTransactionsApi, 2, {
      stateFilters: [],
      producerIdFilters: [],
      ...filters,
    });
    return errorCode === 0 ? transactionStates.map(({ transactionalId }) => transactionalId) : errorCode;
  };
  expect(await listed({})).toEqual(expect.arrayContaining([open.transactionalId, idle.transactionalId]));
  expect(await listed({ stateFilters: ["Ongoing"] })).toContain(open.transactionalId);
  expect(await listed({ stateFilters: ["Ongoing"] })).not.toContain(idle.transactionalId);
  expect(await listed({ producerIdFilters: [idle.producerId] })).toEqual([idle.transactionalId]);
  expect(await listed({ durationFilter: 3_600_000 })).toEqual([]);
  expect(await listed({ transactionalIdPattern: idle.transactionalId })).toEqual([idle.transactionalId]);
  expect(await listed({ transactionalIdPattern: "(" })).toBe(codeOf("INVALID_REGULAR_EXPRESSION"));
  const { unknownStateFilters } = await client.ask(listTransactionsApi, 0, {
    stateFilters: ["Ongoing", "Confused", "PrepareEpochFence"],
    producerIdFilters: [],
  });
  expect(unknownStateFilters).toEqual(["Confused"]);
});

it("a partition that there is not keeps the others of its request out of the transaction", async () => {
  const topic = await newTopic();
  const { transactionalId, producerId, producerEpoch } = await newProducer();
  const answer = await client.ask(addPartitionsToTxnApi, 3, {
    transactions: [],
    v3AndBelowTransactionalId: transactionalId,
    v3AndBelowProducerId: producerId,
    v3AndBelowProducerEpoch: producerEpoch,
    v3AndBelowTopics: [
      { name: topic.name, partitions: [0, 9] },
      { name: "missing", partitions: [0] },
    ],
  });
  const codes = answer.resultsByTopicV3AndBelow.map(({ resultsByPartition }) =>
    resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode),
  );
  const unknown = codeOf("UNKNOWN_TOPIC_OR_PARTITION");
  expect(codes).toEqual([[codeOf("OPERATION_NOT_ATTEMPTED"), unknown], [unknown]]);
});

it("a transactional id has a coordinator, and must not be empty", async () => {
  const { coordinators } = await client.ask(findCoordinatorApi, 6, {
    keyType: 1,
    coordinatorKeys: ["producer", ""],
  });
  expect(coordinators.map(({ errorCode }) => errorCode)).toEqual([0, codeOf("INVALID_REQUEST")]);
  const request = { transactionalId: "", transactionTimeoutMs: 1_000 };
  expect((await client.ask(initProducerIdApi, 5, request)).errorCode).toBe(codeOf("INVALID_REQUEST"));
});

it.each([
  ["with an id and no epoch", { producerId: 1 }, "INVALID_REQUEST"],
  ["with an epoch and no id", { producerEpoch: 1 }, "INVALID_REQUEST"],
  ["for two-phase commit", { enable2Pc: true }, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"],
  ["that wants its transaction kept", { keepPreparedTxn: true }, "UNSUPPORTED_VERSION"],
] as const)(
  "a producer %s is refused as Kafka does, and its open transaction goes on",
  async (_, more, error) => {
    const topic = await newTopic();
    const producer = await newProducer();
    expect(await producer.produce(topic, "a")).toBe(0);
    const request = { transactionalId: producer.transactionalId, transactionTimeoutMs: 1_000, ...more };
    expect((await client.ask(initProducerIdApi, 6, request)).errorCode).toBe(codeOf(error));
    expect(await producer.end(true)).toBe(0);
  },
);
