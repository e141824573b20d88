import kafkajs, { type Kafka as KafkaClient } from "kafkajs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { partitionForKey } from "../../src/log/partitioner.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";

const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel, Partitioners } = kafkajs;

describe("kafkajs", () => {
  let platform: KafkaPlatform;
  let kafka: KafkaClient;
  beforeAll(async () => {
    platform = await startKafkaPlatform();
    kafka = new Kafka({ brokers: [platform.bootstrap], logLevel: logLevel.NOTHING });
  });
  afterAll(async () => {
    await platform.stop();
  });

  it.each([
    ["none", CompressionTypes.None],
    ["gzip", CompressionTypes.GZIP],
  ])(
    "produces idempotently with %s, and each key goes where our own partitioner puts it",
    async (name, compression) => {
      const topic = `produced-${name}`;
      await withAdmin((admin) => admin.createTopics({ topics: [{ topic, numPartitions: 5 }] }));
      const producer = kafka.producer({
        idempotent: true,
        createPartitioner: Partitioners.DefaultPartitioner,
      });
      await producer.connect();
      const messages = Array.from({ length: 1_000 }, (_, index) => ({
        key: `key-${index % 50}`,
        value: index % 10 === 0 ? null : `value-${index}`,
        headers: { source: "kafkajs" },
      }));
      await producer.send({ topic, compression, messages });
      await producer.send({ topic, compression, messages });
      await producer.disconnect();
      const stored: string[][] = [];
      for (let partition = 0; partition < 5; partition++) stored.push(await recordsOf(topic, partition));
      const expected = Array.from({ length: 5 }, (_, partition) =>
        messages
          .filter(({ key }) => partitionForKey(Buffer.from(key), 5) === partition)
          .map(({ key, value }) => `${key}=${value} source=kafkajs`),
      );
      expect(stored).toEqual(expected.map((records) => [...records, ...records]));
    },
  );

  it("administers topics", async () => {
    await withAdmin(async (admin) => {
      const topic = "administered";
      const configEntries = [{ name: "retention.ms", value: "100000" }];
      expect(await admin.createTopics({ topics: [{ topic, numPartitions: 2, configEntries }] })).toBe(true);
      expect(await admin.createTopics({ topics: [{ topic }] })).toBe(false);
      await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] });
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      expect(topics[0]?.partitions).toHaveLength(4);
      const alteration = { type: ConfigResourceTypes.TOPIC, name: topic };
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ ...alteration, configEntries: [{ name: "retention.bytes", value: "5000" }] }],
      });
      const { resources } = await admin.describeConfigs({
        includeSynonyms: true,
        resources: [{ ...alteration, configNames: ["retention.ms", "retention.bytes"] }],
      });
      const values = resources[0]?.configEntries.map(({ configName, configValue }) => [
        configName,
        configValue,
      ]);
      // AlterConfigs sets all of them: what is not named goes back to its default.
      expect(Object.fromEntries(values ?? [])).toEqual({
        "retention.bytes": "5000",
        "retention.ms": "604800000",
      });
      await admin.deleteTopics({ topics: [topic] });
      expect(await admin.listTopics()).not.toContain(topic);
    });
  });

  it("is told why a topic cannot be created", async () => {
    await withAdmin(async (admin) => {
      const create = (topic: string, more = {}) => admin.createTopics({ topics: [{ topic, ...more }] });
      await expect(create("a b")).rejects.toThrow();
      await expect(create("many", { replicationFactor: 9 })).rejects.toThrow();
      await expect(create("odd", { configEntries: [{ name: "no.such", value: "1" }] })).rejects.toThrow();
      expect(await admin.listTopics()).not.toContain("many");
    });
  });

  it("cannot assign new partitions to brokers that do not exist", async () => {
    const topic = "assigned";
    await withAdmin(async (admin) => {
      await admin.createTopics({ topics: [{ topic }] });
      const grow = (...assignments: number[][]) =>
        admin.createPartitions({ topicPartitions: [{ topic, count: 3, assignments }] });
      for (const refused of [[[10], [0]], [[0], [0, 0]], [[0]]]) {
        await expect(grow(...refused)).rejects.toMatchObject({ type: "INVALID_REPLICA_ASSIGNMENT" });
      }
      await grow([0], [0]);
      expect(await admin.fetchTopicOffsets(topic)).toHaveLength(3);
    });
  });

  it("finds offsets by time, and deletes records", async () => {
    const topic = "offsets";
    await withAdmin((admin) => admin.createTopics({ topics: [{ topic }] }));
    const producer = kafka.producer();
    await producer.connect();
    const startMs = Date.now() - 1_000;
    const messages = [0, 1, 2].map((index) => ({ value: String(index), timestamp: String(startMs + index) }));
    await producer.send({ topic, messages });
    await producer.disconnect();
    await withAdmin(async (admin) => {
      expect(await admin.fetchTopicOffsetsByTimestamp(topic, startMs + 1)).toEqual([
        { partition: 0, offset: "1" },
      ]);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "2" }] });
      expect(await admin.fetchTopicOffsets(topic)).toMatchObject([{ offset: "3", high: "3", low: "2" }]);
    });
  });

  it("describes the cluster", async () => {
    const { brokers, clusterId, controller } = await withAdmin((admin) => admin.describeCluster());
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([platform.bootstrap]);
    expect(clusterId).toMatch(/^[\w-]{22}$/);
    expect(controller).toBe(0);
  });

  async function withAdmin<T>(work: (admin: ReturnType<KafkaClient["admin"]>) => Promise<T>): Promise<T> {
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }

  /** As the HTTP API has them: the raw batches, from the beginning. */
  async function recordsOf(topic: string, partition: number): Promise<string[]> {
    const url = `${platform.url}/v1/topics/${topic}/partitions/${partition}/records?offset=0&max_bytes=8000000`;
    const answer = await fetch(url, { headers: { accept: "application/vnd.kafka.recordbatch" } });
    const text = (bytes: Uint8Array | null) => (bytes === null ? "null" : Buffer.from(bytes).toString());
    return [...decodeBatches(new Uint8Array(await answer.arrayBuffer()))].map(
      ({ key, value, headers }) =>
        `${text(key)}=${text(value)} ${headers.map((header) => `${header.key}=${text(header.value)}`).join()}`,
    );
  }
});
