import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { fuzzKafka } from "./fuzz.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const CONNECTIONS = 200;
const ROUNDS = 5;
const PARTITIONS = 20;
const FUZZED_FRAMES = 2_000;

describe("the Kafka port", () => {
  let platform: KafkaPlatform;
  beforeAll(async () => {
    platform = await startKafkaPlatform();
  });
  afterAll(async () => {
    await platform.stop();
  });

  function broker() {
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    return address;
  }

  it("takes no harm from damaged frames, and stores exactly the valid ones", async () => {
    const seed = Date.now() % 1_000_000;
    const { stored, refused } = await fuzzKafka({ broker: broker(), frames: FUZZED_FRAMES, seed });
    expect(stored + refused, `seed ${seed}`).toBeGreaterThan(FUZZED_FRAMES / 3);
  });

  it("serves many connections at once, each producing and fetching", async () => {
    const name = "shared";
    const admin = await RawClient.connect(broker());
    const topic = { name, numPartitions: PARTITIONS, replicationFactor: 1, assignments: [], configs: [] };
    await admin.ask(createTopicsApi, 7, { topics: [topic] });
    admin.close();
    const unseen = await Promise.all(
      Array.from({ length: CONNECTIONS }, (_, connection) => roundTrips(name, connection, ROUNDS)),
    );
    expect(unseen.flat()).toEqual([]);
  });

  it("has what it cannot take in time sent again, by an error on which no client gives up", async () => {
    const name = "flooded";
    const client = await RawClient.connect(broker());
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    await client.ask(createTopicsApi, 7, { topics: [topic] });
    client.close();
    const codes = await Promise.all(Array.from({ length: 8 }, () => flood(name, 10)));
    const [stored, refusedForNow] = [0, 19];
    expect(codes.flat().filter((code) => code !== stored && code !== refusedForNow)).toEqual([]);
    expect(codes.flat()).toContain(stored);
  });

  /** Produces megabytes without waiting, and returns what became of each. */
  async function flood(topic: string, megabytes: number): Promise<number[]> {
    const client = await RawClient.connect(broker());
    const value = new Uint8Array(1_000_000);
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value }]);
    const topicData = [{ name: topic, topicId: "", partitionData: [{ index: 0, records }] }];
    const sent = Array.from({ length: megabytes }, () =>
      client.send(produceApi, 8, { acks: -1, timeoutMs: 30_000, topicData }),
    );
    const codes: number[] = [];
    for (const correlationId of sent) {
      const { responses } = await client.receive(produceApi, 8, correlationId);
      codes.push(responses[0]?.partitionResponses[0]?.errorCode ?? -1);
    }
    client.close();
    return codes;
  }

  /** Produces and fetches in turn on one connection, and returns what it has produced and not seen again. */
  async function roundTrips(topic: string, connection: number, rounds: number): Promise<string[]> {
    const client = await RawClient.connect(broker());
    const index = connection % PARTITIONS;
    const unseen = new Set<string>();
    let fetchOffset = 0;
    for (let round = 0; round < rounds; round++) {
      const value = `${connection}-${round}`;
      unseen.add(value);
      const records = encodeBatch([{ timestamp: Date.now(), key: null, value: Buffer.from(value) }]);
      const topicData = [{ name: topic, topicId: "", partitionData: [{ index, records }] }];
      await client.ask(produceApi, 8, { acks: -1, timeoutMs: 1_000, topicData });
      const partitions = [{ partition: index, fetchOffset, partitionMaxBytes: 1_000_000 }];
      const topics = [{ topic, topicId: "", partitions }];
      const { responses } = await client.ask(fetchApi, 12, { maxWaitMs: 1_000, minBytes: 1, topics });
      for (const record of decodeBatches(responses[0]?.partitions[0]?.records ?? new Uint8Array(0))) {
        unseen.delete(Buffer.from(record.value ?? []).toString());
        fetchOffset = record.offset + 1;
      }
    }
    client.close();
    return [...unseen];
  }
});
