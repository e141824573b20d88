import { addPartitionsToTxnApi } from "../../src/kafka/messages/add-partitions-to-txn.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { endTxnApi } from "../../src/kafka/messages/end-txn.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { initProducerIdApi } from "../../src/kafka/messages/init-producer-id.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { errorRow } from "../../src/model/errors.ts";
import type { RawClient } from "./raw-client.ts";

/** Of the APIs that a producer of one generation of clients uses. */
export interface ProducerVersions {
  readonly init: number;
  /** undefined: its batches join by themselves (KIP-890). */
  readonly addPartitions: number | undefined;
  readonly produce: number;
  readonly endTxn: number;
}

export const CONCURRENT = errorRow("CONCURRENT_TRANSACTIONS").code;

/** A transactional producer that writes to partition 0 of topics, request by request. */
export class TransactionalClient {
  readonly transactionalId: string;
  producerId = -1;
  producerEpoch = -1;
  readonly #client: RawClient;
  readonly #versions: ProducerVersions;
  #sequence = 0;

  constructor(client: RawClient, transactionalId: string, versions: ProducerVersions) {
    this.#client = client;
    this.transactionalId = transactionalId;
    this.#versions = versions;
  }

  async init(): Promise<void> {
    const { transactionalId } = this;
    const request = { transactionalId, transactionTimeoutMs: 60_000 };
    const answer = await this.#client.ask(initProducerIdApi, this.#versions.init, request);
    if (answer.errorCode !== 0) throw new Error(`InitProducerId: error ${answer.errorCode}`);
    this.#goOnAs(answer);
  }

  /** The error code. */
  async addPartition(topic: string, partition = 0): Promise<number> {
    const { transactionalId, producerId, producerEpoch } = this;
    const version = this.#versions.addPartitions;
    if (version === undefined) return 0;
    const topics = [{ name: topic, partitions: [partition] }];
    const isBatched = version >= 4;
    const answer = await this.#client.ask(addPartitionsToTxnApi, version, {
      transactions: isBatched ? [{ transactionalId, producerId, producerEpoch, topics }] : [],
      v3AndBelowTransactionalId: isBatched ? "" : transactionalId,
      v3AndBelowProducerId: isBatched ? 0 : producerId,
      v3AndBelowProducerEpoch: isBatched ? 0 : producerEpoch,
      v3AndBelowTopics: isBatched ? [] : topics,
    });
    const results = isBatched
      ? answer.resultsByTransaction[0]?.topicResults
      : answer.resultsByTopicV3AndBelow;
    return results?.[0]?.resultsByPartition[0]?.partitionErrorCode ?? -1;
  }

  /** The error code; the offset that is given out is the next one's. */
  async produce(topic: { readonly name: string; readonly topicId: string }, value: string): Promise<number> {
    const { transactionalId, producerId, producerEpoch } = this;
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value: Buffer.from(value) }], {
      producerId,
      producerEpoch,
      baseSequence: this.#sequence,
      transactional: true,
    });
    const topicData = [{ ...topic, partitionData: [{ index: 0, records }] }];
    const request = { transactionalId, acks: -1, timeoutMs: 30_000, topicData };
    const { responses } = await this.#client.ask(produceApi, this.#versions.produce, request);
    const errorCode = responses[0]?.partitionResponses[0]?.errorCode ?? -1;
    if (errorCode === 0) this.#sequence++;
    return errorCode;
  }

  async end(committed: boolean): Promise<number> {
    const { transactionalId, producerId, producerEpoch } = this;
    const request = { transactionalId, producerId, producerEpoch, committed };
    const answer = await this.#client.ask(endTxnApi, this.#versions.endTxn, request);
    if (answer.errorCode === 0 && this.#versions.endTxn >= 5) this.#goOnAs(answer);
    return answer.errorCode;
  }

  #goOnAs({
    producerId,
    producerEpoch,
  }: {
    readonly producerId: number;
    readonly producerEpoch: number;
  }): void {
    this.producerId = producerId;
    this.producerEpoch = producerEpoch;
    this.#sequence = 0;
  }
}

/** A topic of one partition. */
export async function createTopic(client: RawClient, name: string) {
  const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
  const { topics } = await client.ask(createTopicsApi, 7, { topics: [topic] });
  return { name, topicId: topics[0]?.topicId ?? "" };
}

export const READ_COMMITTED = 1;

/** Sends a Fetch of partition 0; returns its correlation id. */
export function sendFetch(client: RawClient, topic: string, fetchOffset: number, maxWaitMs = 0): number {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }];
  const topics = [{ topic, topicId: "", partitions }];
  return client.send(fetchApi, 12, { maxWaitMs, minBytes: 1, isolationLevel: READ_COMMITTED, topics });
}

export async function fetched(client: RawClient, correlationId: number) {
  const { responses } = await client.receive(fetchApi, 12, correlationId);
  const [partition] = responses[0]?.partitions ?? [];
  if (partition?.errorCode !== 0) throw new Error(`error ${partition?.errorCode}`);
  return partition;
}
