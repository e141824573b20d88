/** A small Kafka client that costs the machine as little as possible: the same one drives Edgelog and Apache Kafka. */

import { decodeResponse, encodeRequest } from "../../src/kafka/frame.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { deleteTopicsApi } from "../../src/kafka/messages/delete-topics.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { metadataApi } from "../../src/kafka/messages/metadata.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import type { Channel } from "./channel.ts";
import { FramedClient } from "./framed-client.ts";

const CLIENT_ID = "bench";
const PRODUCE_VERSION = 9;
const FETCH_VERSION = 12;
const CREATE_TOPICS_VERSION = 5;
const DELETE_TOPICS_VERSION = 4;
const METADATA_VERSION = 9;
/** In versions that go by name. */
const NO_ID = "AAAAAAAAAAAAAAAAAAAAAA";
const HEADER = { correlationId: 7, clientId: CLIENT_ID };

export interface Fetched {
  readonly records: Uint8Array;
  readonly highWatermark: number;
}

export class KafkaClient {
  readonly #client: FramedClient;

  constructor(channel: Channel) {
    this.#client = new FramedClient(channel);
  }

  /** A Produce request for one batch, to be sent as often as one likes. */
  static produceFrame(topic: string, partition: number, batch: Uint8Array): readonly Uint8Array[] {
    const topicData = [
      { name: topic, topicId: NO_ID, partitionData: [{ index: partition, records: batch }] },
    ];
    return encodeRequest(produceApi, PRODUCE_VERSION, HEADER, { acks: -1, timeoutMs: 30_000, topicData });
  }

  /** The batch's offset. */
  async produce(frame: readonly Uint8Array[]): Promise<number> {
    const answer = await this.#client.request(frame);
    const { response } = decodeResponse(produceApi, PRODUCE_VERSION, answer);
    const [result] = response.responses[0]?.partitionResponses ?? [];
    if (result?.errorCode === 0) return Number(result.baseOffset);
    throw new Error(`Produce was answered with error ${result?.errorCode}`);
  }

  async fetch(
    topic: string,
    partition: number,
    fetchOffset: number,
    { maxBytes = 1024 * 1024, maxWaitMs = 500 } = {},
  ): Promise<Fetched> {
    const frame = encodeRequest(fetchApi, FETCH_VERSION, HEADER, {
      replicaId: -1,
      maxWaitMs,
      minBytes: 1,
      maxBytes,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic,
          topicId: NO_ID,
          partitions: [
            {
              partition,
              currentLeaderEpoch: -1,
              fetchOffset,
              lastFetchedEpoch: -1,
              logStartOffset: -1,
              partitionMaxBytes: maxBytes,
            },
          ],
        },
      ],
      forgottenTopicsData: [],
      rackId: "",
    });
    const { response } = decodeResponse(fetchApi, FETCH_VERSION, await this.#client.request(frame));
    const [result] = response.responses[0]?.partitions ?? [];
    if (result?.errorCode !== 0) throw new Error(`Fetch was answered with error ${result?.errorCode}`);
    return { records: result.records ?? new Uint8Array(), highWatermark: Number(result.highWatermark) };
  }

  /** Returns when every partition has a leader that answers. */
  async createTopic(
    name: string,
    numPartitions: number,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const frame = encodeRequest(createTopicsApi, CREATE_TOPICS_VERSION, HEADER, {
      topics: [
        {
          name,
          numPartitions,
          replicationFactor: 1,
          assignments: [],
          configs: Object.entries(configs).map(([configName, value]) => ({ name: configName, value })),
        },
      ],
      timeoutMs: 30_000,
      validateOnly: false,
    });
    const answer = await this.#client.request(frame);
    const { response } = decodeResponse(createTopicsApi, CREATE_TOPICS_VERSION, answer);
    const [created] = response.topics;
    if (created?.errorCode !== 0) throw new Error(`CreateTopics: ${created?.errorMessage}`);
    while (!(await this.#isReady(name))) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async deleteTopic(name: string): Promise<void> {
    const request = { topicNames: [name], timeoutMs: 30_000 };
    const frame = encodeRequest(deleteTopicsApi, DELETE_TOPICS_VERSION, HEADER, request);
    await this.#client.request(frame);
  }

  async #isReady(name: string): Promise<boolean> {
    const frame = encodeRequest(metadataApi, METADATA_VERSION, HEADER, {
      topics: [{ topicId: NO_ID, name }],
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: false,
    });
    const { response } = decodeResponse(metadataApi, METADATA_VERSION, await this.#client.request(frame));
    const [topic] = response.topics;
    if (topic?.errorCode !== 0 || topic.partitions.some(({ leaderId }) => leaderId < 0)) return false;
    // Kafka's controller names a leader before that one knows of it.
    const reads = topic.partitions.map(({ partitionIndex }) =>
      this.fetch(name, partitionIndex, 0, { maxWaitMs: 0 }),
    );
    return (await Promise.allSettled(reads)).every(({ status }) => status === "fulfilled");
  }

  close(): void {
    this.#client.close();
  }
}
