import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { apiVersionsApi } from "../../src/kafka/messages/api-versions.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const PRODUCE_VERSION = 8;
const [STORED, REFUSED_FOR_NOW] = [0, 19];

describe("a platform in one process", () => {
  let platform: KafkaPlatform;
  beforeAll(async () => {
    platform = await startKafkaPlatform();
  });
  afterAll(async () => {
    await platform.stop();
  });

  it("answers others while a client sends without a pause", async () => {
    const [sender, other] = [await connect(), await connect()];
    await createTopic(sender, "incessant", {});
    const sent = produce(sender, "incessant", { batches: 150, batchBytes: 500_000 });
    await answered(sender, sent.slice(0, 1));
    await other.ask(apiVersionsApi, 0, { clientSoftwareName: "", clientSoftwareVersion: "" });
    const answeredMeanwhile = sender.frames().length + 1;
    await answered(sender, sent.slice(1));
    sender.close();
    other.close();
    expect(answeredMeanwhile).toBeLessThan(sent.length / 2);
  });

  it("answers while segments move to R2", async () => {
    const client = await connect();
    await createTopic(client, "moving", { "segment.bytes": "1048576" });
    await answered(client, produce(client, "moving", { batches: 15, batchBytes: 1_000_000 }));
    client.close();
    const seen = new Set<number>();
    for (let moved = 0; moved < 14; seen.add(moved)) moved = await remoteSegments("moving");
    expect(seen.size).toBeGreaterThan(5);
  });

  async function connect(): Promise<RawClient> {
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    return RawClient.connect(address);
  }

  async function createTopic(client: RawClient, name: string, configs: Record<string, string>) {
    const topic = {
      name,
      numPartitions: 1,
      replicationFactor: 1,
      assignments: [],
      configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
    };
    const { topics } = await client.ask(createTopicsApi, 7, { topics: [topic] });
    expect(topics).toMatchObject([{ errorCode: 0 }]);
  }

  /** Sends all of it at once; the correlation ids. */
  function produce(
    client: RawClient,
    topic: string,
    { batches, batchBytes }: { batches: number; batchBytes: number },
  ): number[] {
    const value = new Uint8Array(batchBytes);
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value }]);
    const topicData = [{ name: topic, topicId: "", partitionData: [{ index: 0, records }] }];
    return Array.from({ length: batches }, () =>
      client.send(produceApi, PRODUCE_VERSION, { acks: -1, timeoutMs: 30_000, topicData }),
    );
  }

  async function answered(client: RawClient, correlationIds: readonly number[]): Promise<void> {
    for (const correlationId of correlationIds) {
      const { responses } = await client.receive(produceApi, PRODUCE_VERSION, correlationId);
      expect([STORED, REFUSED_FOR_NOW]).toContain(responses[0]?.partitionResponses[0]?.errorCode);
    }
  }

  async function remoteSegments(topic: string): Promise<number> {
    const { remoteSegments } = await new Edgelog({ url: platform.url }).topics.describePartition(topic, 0);
    return remoteSegments;
  }
});
