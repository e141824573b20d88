import kafkajs, { type Consumer, type EachMessagePayload, type Kafka as KafkaClient } from "kafkajs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KafkaPlatform, startKafkaPlatform } from "../kafka/kafka-platform.ts";

const { Kafka, logLevel } = kafkajs;
const PARTITIONS = 4;

describe("groups of kafkajs", () => {
  let platform: KafkaPlatform;
  let kafka: KafkaClient;
  const consumers: Consumer[] = [];
  beforeAll(async () => {
    platform = await startKafkaPlatform({ vars: { EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS: "0" } });
    kafka = new Kafka({ brokers: [platform.bootstrap], logLevel: logLevel.NOTHING });
  });
  afterAll(async () => {
    await Promise.all(consumers.map((consumer) => consumer.disconnect()));
    await platform.stop();
  });

  it("share the partitions, go on where they were, and are described", async () => {
    const { topic, groupId } = await newTopic();
    await produce(topic, 0, 100);
    const received = new Received();
    const first = await consume(groupId, topic, received);
    await received.until(100);
    const second = await consume(groupId, topic, received);
    await admin(async (client) => {
      const { groups } = await client.describeGroups([groupId]);
      expect(groups[0]).toMatchObject({ groupId, state: "Stable", protocolType: "consumer" });
      expect(groups[0]?.members.map(({ clientHost }) => clientHost)).toEqual(["/127.0.0.1", "/127.0.0.1"]);
      expect((await client.listGroups()).groups).toContainEqual({ groupId, protocolType: "consumer" });
      await expect(client.deleteGroups([groupId])).rejects.toThrow();
    });
    await produce(topic, 100, 200);
    await received.until(200);
    expect(received.owners.size).toBe(2);
    await first.disconnect();
    await second.disconnect();
    await produce(topic, 200, 250);
    const third = await consume(groupId, topic, received);
    await received.until(250);
    // Nothing again that was committed, and nothing left out.
    expect(received.values.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 250 }, (_, value) => value),
    );
    await third.disconnect();
    await admin(async (client) => {
      const [offsets] = await client.fetchOffsets({ groupId, topics: [topic] });
      expect(offsets?.partitions.reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(250);
      await client.resetOffsets({ groupId, topic, earliest: true });
      await client.deleteGroups([groupId]);
      const [none] = await client.fetchOffsets({ groupId, topics: [topic] });
      expect(none?.partitions.map(({ offset }) => offset)).toEqual(Array(PARTITIONS).fill("-1"));
      expect((await client.listGroups()).groups.map((group) => group.groupId)).not.toContain(groupId);
    });
  });

  it("start at reset offsets", async () => {
    const { topic, groupId } = await newTopic();
    await produce(topic, 0, 40);
    await admin((client) =>
      client.setOffsets({
        groupId,
        topic,
        partitions: Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, offset: "5" })),
      }),
    );
    const received = new Received();
    await consume(groupId, topic, received);
    await received.until(40 - PARTITIONS * 5);
    expect(received.values.every((value) => value >= PARTITIONS * 5)).toBe(true);
  });

  async function newTopic() {
    const id = crypto.randomUUID();
    const topic = `topic-${id}`;
    await admin((client) => client.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }] }));
    return { topic, groupId: `group-${id}` };
  }

  async function admin<T>(work: (client: ReturnType<KafkaClient["admin"]>) => Promise<T>): Promise<T> {
    const client = kafka.admin();
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.disconnect();
    }
  }

  /** Numbers, one partition after the other. */
  async function produce(topic: string, from: number, to: number) {
    const producer = kafka.producer();
    await producer.connect();
    const messages = Array.from({ length: to - from }, (_, index) => ({
      value: String(from + index),
      partition: (from + index) % PARTITIONS,
    }));
    await producer.send({ topic, messages });
    await producer.disconnect();
  }

  /** Resolves when the member has its partitions. */
  async function consume(groupId: string, topic: string, received: Received): Promise<Consumer> {
    const consumer = kafka.consumer({
      groupId,
      sessionTimeout: 10_000,
      heartbeatInterval: 300,
      maxWaitTimeInMs: 200,
    });
    consumers.push(consumer);
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
    await consumer.run({ eachMessage: async (payload) => received.take(payload, consumer) });
    await joined;
    return consumer;
  }
});

class Received {
  readonly values: number[] = [];
  readonly owners = new Set<Consumer>();
  #changed = Promise.withResolvers<void>();

  take({ message }: EachMessagePayload, owner: Consumer): void {
    this.values.push(Number(message.value));
    this.owners.add(owner);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async until(count: number): Promise<void> {
    while (this.values.length < count) await this.#changed.promise;
  }
}
