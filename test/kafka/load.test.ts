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
