import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addOffsetsToTxnApi } from "../../src/kafka/messages/add-offsets-to-txn.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { endTxnApi } from "../../src/kafka/messages/end-txn.ts";
import { initProducerIdApi } from "../../src/kafka/messages/init-producer-id.ts";
import { offsetCommitApi } from "../../src/kafka/messages/offset-commit.ts";
import { offsetFetchApi } from "../../src/kafka/messages/offset-fetch.ts";
import { txnOffsetCommitApi } from "../../src/kafka/messages/txn-offset-commit.ts";
import { type ErrorName, errorRow } from "../../src/model/errors.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const PARTITIONS = 2;
const VERSIONS = [0, 1, 2, 3, 4, 5, 6];
/** From here on TxnOffsetCommit makes the group part of the transaction, and each transaction has an epoch of its own. */
const ADDING_VERSION = 5;
const NO_TOPIC_ID = "ZZZZZZZZZZZZZZZZZZZZZQ";

let platform: KafkaPlatform;
let client: RawClient;
let topic: { readonly name: string; readonly topicId: string };
beforeAll(async () => {
  platform = await startKafkaPlatform();
  const [broker] = platform.brokers;
  if (broker === undefined) throw new Error("there is no broker");
  client = await RawClient.connect(broker);
  const created = await client.ask(createTopicsApi, 7, {
    topics: [
      { name: "topic", numPartitions: PARTITIONS, replicationFactor: 1, assignments: [], configs: [] },
    ],
  });
  topic = { name: "topic", topicId: created.topics[0]?.topicId ?? "" };
});
afterAll(async () => {
  client.close();
  await platform.stop();
});

interface Commit {
  readonly version: number;
  readonly memberId?: string;
  readonly generation?: number;
  readonly named?: { readonly name: string; readonly topicId: string };
  /** The offset of each partition, from the first on. */
  readonly offsets: readonly number[];
}

/** A producer, and the group that it commits the offsets of; each has a name of its own. */
class Producer {
  static #count = 0;
  readonly transactionalId = `transactional-${++Producer.#count}`;
  readonly groupId = `group-${Producer.#count}`;
  producerId = -1;
  producerEpoch = -1;

  /** The transaction before may still be ending: then it is asked again, as clients do. */
  async init(): Promise<void> {
    const request = { transactionTimeoutMs: 60_000, producerId: -1, producerEpoch: -1 };
    const { transactionalId } = this;
    const answer = await untilDone(() => client.ask(initProducerIdApi, 5, { ...request, transactionalId }));
    this.producerId = answer.producerId;
    this.producerEpoch = answer.producerEpoch;
  }

  async addGroup(): Promise<void> {
    const { groupId, producerEpoch, producerId, transactionalId } = this;
    const request = { transactionalId, producerId, producerEpoch, groupId };
    await untilDone(() => client.ask(addOffsetsToTxnApi, 3, request));
  }

  /** The name of each partition's error, or null. */
  async commit({
    version,
    memberId,
    generation,
    named = topic,
    offsets,
  }: Commit): Promise<(string | null)[]> {
    const { groupId, producerEpoch, producerId, transactionalId } = this;
    const partitions = offsets.map((committedOffset, partitionIndex) => ({
      partitionIndex,
      committedOffset,
      committedMetadata: "note",
    }));
    for (;;) {
      const { topics } = await client.ask(txnOffsetCommitApi, version, {
        transactionalId,
        groupId,
        producerId,
        producerEpoch,
        ...(memberId !== undefined && { memberId }),
        ...(generation !== undefined && { generationIdOrMemberEpoch: generation }),
        topics: [{ ...named, partitions }],
      });
      const errors = topics[0]?.partitions.map(({ errorCode }) => nameOf(errorCode)) ?? [];
      if (!errors.includes("COORDINATOR_LOAD_IN_PROGRESS")) return errors;
    }
  }

  async end(version: number, committed: boolean): Promise<void> {
    const { producerEpoch, producerId, transactionalId } = this;
    const request = { transactionalId, producerId, producerEpoch, committed };
    const answer = await untilDone(() => client.ask(endTxnApi, version >= ADDING_VERSION ? 5 : 3, request));
    if (version < ADDING_VERSION) return;
    this.producerId = answer.producerId;
    this.producerEpoch = answer.producerEpoch;
  }

  /** Of each partition its offset, or the name of its error. */
  async fetch(requireStable = false): Promise<(number | string)[]> {
    const partitionIndexes = Array.from({ length: PARTITIONS }, (_, partition) => partition);
    const answer = await client.ask(offsetFetchApi, 9, {
      groups: [{ groupId: this.groupId, topics: [{ ...topic, partitionIndexes }] }],
      requireStable,
    });
    const partitions = answer.groups[0]?.topics[0]?.partitions ?? [];
    return partitions.map(({ committedOffset, errorCode }) => nameOf(errorCode) ?? committedOffset);
  }
}

async function untilDone<T extends { readonly errorCode: number }>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const answer = await ask();
    const error = nameOf(answer.errorCode);
    if (error === null) return answer;
    if (error !== "CONCURRENT_TRANSACTIONS") throw new Error(`refused: ${error}`);
  }
}

const NAMES: readonly ErrorName[] = [
  "COORDINATOR_LOAD_IN_PROGRESS",
  "CONCURRENT_TRANSACTIONS",
  "GROUP_ID_NOT_FOUND",
  "ILLEGAL_GENERATION",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_PRODUCER_ID_MAPPING",
  "INVALID_TXN_STATE",
  "TRANSACTION_ABORTABLE",
  "UNKNOWN_MEMBER_ID",
  "UNKNOWN_TOPIC_ID",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "UNSTABLE_OFFSET_COMMIT",
];

function nameOf(code: number): string | null {
  if (code === 0) return null;
  return NAMES.find((name) => errorRow(name).code === code) ?? String(code);
}

describe.each(VERSIONS)("TxnOffsetCommit in version %i", (version) => {
  async function begun(): Promise<Producer> {
    const producer = new Producer();
    await producer.init();
    if (version < ADDING_VERSION) await producer.addGroup();
    return producer;
  }

  it("commits offsets when the transaction is committed, and does not say before that they are stable", async () => {
    const producer = await begun();
    expect(await producer.commit({ version, offsets: [5, 6] })).toEqual([null, null]);
    expect(await producer.fetch()).toEqual([-1, -1]);
    expect(await producer.fetch(true)).toEqual(["UNSTABLE_OFFSET_COMMIT", "UNSTABLE_OFFSET_COMMIT"]);
    await producer.end(version, true);
    expect(await producer.fetch(true)).toEqual([5, 6]);
    if (version < ADDING_VERSION) await producer.addGroup();
    expect(await producer.commit({ version, offsets: [7] })).toEqual([null]);
    expect(await producer.fetch()).toEqual([5, 6]);
    await producer.end(version, false);
    expect(await producer.fetch(true)).toEqual([5, 6]);
  });

  it("tells each partition that there is not", async () => {
    const producer = await begun();
    expect(await producer.commit({ version, offsets: [1, 2, 3] })).toEqual([
      null,
      null,
      "UNKNOWN_TOPIC_OR_PARTITION",
    ]);
    const named = { name: "no-such-topic", topicId: NO_TOPIC_ID };
    const error = version < 6 ? "UNKNOWN_TOPIC_OR_PARTITION" : "UNKNOWN_TOPIC_ID";
    expect(await producer.commit({ version, named, offsets: [1] })).toEqual([error]);
  });

  it("refuses a producer that another one has fenced, and a stranger", async () => {
    const producer = await begun();
    expect(await producer.commit({ version, offsets: [1] })).toEqual([null]);
    const { producerEpoch, producerId } = producer;
    await producer.init();
    expect(await producer.fetch(true)).toEqual([-1, -1]);
    Object.assign(producer, { producerEpoch, producerId });
    expect(await producer.commit({ version, offsets: [1] })).toEqual(["INVALID_PRODUCER_EPOCH"]);
    producer.producerId += 1_000_000;
    expect(await producer.commit({ version, offsets: [1] })).toEqual(["INVALID_PRODUCER_ID_MAPPING"]);
  });
});

describe("TxnOffsetCommit", () => {
  it.each([
    [3, "INVALID_TXN_STATE"],
    [4, "TRANSACTION_ABORTABLE"],
  ])("in version %i needs a group that is part of the transaction: %s", async (version, error) => {
    const producer = new Producer();
    await producer.init();
    expect(await producer.commit({ version, offsets: [1] })).toEqual([error]);
    expect(await producer.fetch(true)).toEqual([-1, -1]);
  });

  it("refuses who is not a member", async () => {
    const producer = new Producer();
    await producer.init();
    const member = { version: 5, memberId: "m", generation: 1, offsets: [1] };
    expect(await producer.commit({ ...member, version: 6 })).toEqual(["GROUP_ID_NOT_FOUND"]);
    expect(await producer.commit(member)).toEqual(["ILLEGAL_GENERATION"]);
    expect(await producer.commit({ version: 5, offsets: [1] })).toEqual([null]);
    expect(await producer.commit(member)).toEqual(["UNKNOWN_MEMBER_ID"]);
  });

  it("leaves what is committed after it without a transaction", async () => {
    const producer = new Producer();
    await producer.init();
    expect(await producer.commit({ version: 5, offsets: [1, 2] })).toEqual([null, null]);
    await client.ask(offsetCommitApi, 8, {
      groupId: producer.groupId,
      generationIdOrMemberEpoch: -1,
      memberId: "",
      topics: [
        { ...topic, partitions: [{ partitionIndex: 1, committedOffset: 9, committedMetadata: null }] },
      ],
    });
    await producer.end(5, true);
    expect(await producer.fetch(true)).toEqual([1, 9]);
  });
});
