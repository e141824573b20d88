import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { listOffsetsApi } from "../../src/kafka/messages/list-offsets.ts";
import { metadataApi } from "../../src/kafka/messages/metadata.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { KAFKA_REQUESTS_IN_FLIGHT_MAX } from "../../src/model/limits.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const LATEST = -1;

describe("a client that asks for more than a connection may have unanswered", () => {
  let platform: KafkaPlatform;
  let client: RawClient;
  let other: RawClient;
  beforeAll(async () => {
    platform = await startKafkaPlatform();
    [client, other] = await Promise.all([connected(), connected()]);
    const names = ["awaited", "before", "after", "many"];
    const sizes = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    await other.ask(createTopicsApi, 7, { topics: names.map((name) => ({ name, ...sizes })) });
  });
  afterAll(async () => {
    client.close();
    other.close();
    await platform.stop();
  });

  it("is not read from until one is answered", async () => {
    const waiting = Array.from({ length: KAFKA_REQUESTS_IN_FLIGHT_MAX - 1 }, () => sendFetch("awaited"));
    const before = sendProduce(client, "before");
    const after = sendProduce(client, "after");
    await expect.poll(() => logEnd("before")).toBe(1);
    // Had it been read, it would have been appended by now: a produce does not wait for fetches, nor for other produces.
    for (let roundTrips = 0; roundTrips < 20; roundTrips++) {
      await other.receive(produceApi, 8, sendProduce(other, "before"));
      expect(await logEnd("after")).toBe(0);
    }
    await other.receive(produceApi, 8, sendProduce(other, "awaited"));
    for (const correlationId of waiting) {
      const { responses } = await client.receive(fetchApi, 12, correlationId);
      expect(responses[0]?.partitions[0]?.highWatermark).toBe(1);
    }
    expect(await client.receive(produceApi, 8, before)).toMatchObject(appendedAt(0));
    expect(await client.receive(produceApi, 8, after)).toMatchObject(appendedAt(0));
    expect(await logEnd("after")).toBe(1);
  });

  it("gets every answer, in the order of its requests", async () => {
    const sent = Array.from({ length: 10 * KAFKA_REQUESTS_IN_FLIGHT_MAX }, (_, index) => {
      const topic = { topicId: "", name: "many" };
      const asked = index % 7 === 0 ? client.send(metadataApi, 9, { topics: [topic] }) : undefined;
      return { asked, produced: sendProduce(client, "many") };
    });
    for (const [offset, { asked, produced }] of sent.entries()) {
      if (asked !== undefined) await client.receive(metadataApi, 9, asked);
      expect(await client.receive(produceApi, 8, produced)).toMatchObject(appendedAt(offset));
    }
  });

  function connected(): Promise<RawClient> {
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    return RawClient.connect(address);
  }

  /** From the log's beginning, which is its end: it waits. */
  function sendFetch(topic: string): number {
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }];
    return client.send(fetchApi, 12, {
      maxWaitMs: 30_000,
      minBytes: 1,
      topics: [{ topic, topicId: "", partitions }],
    });
  }

  function sendProduce(by: RawClient, name: string): number {
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value: Buffer.from("one") }]);
    const topicData = [{ name, topicId: "", partitionData: [{ index: 0, records }] }];
    return by.send(produceApi, 8, { acks: -1, timeoutMs: 30_000, topicData });
  }

  async function logEnd(name: string): Promise<number | undefined> {
    const topics = [{ name, partitions: [{ partitionIndex: 0, timestamp: LATEST }] }];
    const request = { replicaId: -1, isolationLevel: 0, topics, timeoutMs: 0 };
    const answer = await other.ask(listOffsetsApi, 5, request);
    return answer.topics[0]?.partitions[0]?.offset;
  }
});

function appendedAt(baseOffset: number) {
  return { responses: [{ partitionResponses: [{ errorCode: 0, baseOffset }] }] };
}
