import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KafkaPlatform, startKafkaPlatform } from "../kafka/kafka-platform.ts";

const PARTITIONS = 4;

/** The client that uses the highest, flexible versions. */
describe("groups of @platformatic/kafka", () => {
  let platform: KafkaPlatform;
  let admin: Admin;
  beforeAll(async () => {
    platform = await startKafkaPlatform({ vars: { EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS: "0" } });
    admin = new Admin({ clientId: "test", bootstrapBrokers: [platform.bootstrap], strict: true });
  });
  afterAll(async () => {
    await admin.close();
    await platform.stop();
  });

  it.each(["classic", "consumer"] as const)(
    "of the %s protocol go on where they were",
    async (groupProtocol) => {
      const topic = `topic-${groupProtocol}`;
      const groupId = `group-${groupProtocol}`;
      await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1 });
      await produce(topic, 0, 100);
      expect(await consume(groupId, topic, groupProtocol, 100)).toEqual(numbers(0, 100));
      await produce(topic, 100, 150);
      expect(await consume(groupId, topic, groupProtocol, 50)).toEqual(numbers(100, 150));
      const groups = await admin.listGroups({ types: [groupProtocol] });
      expect(groups.get(groupId)).toMatchObject({ state: "Empty" });
      await admin.deleteGroups({ groups: [groupId] });
      expect((await admin.listGroups({ types: [groupProtocol] })).has(groupId)).toBe(false);
    },
  );

  function numbers(from: number, to: number): number[] {
    return Array.from({ length: to - from }, (_, index) => from + index);
  }

  async function produce(topic: string, from: number, to: number) {
    const producer = new Producer({
      clientId: "test",
      bootstrapBrokers: [platform.bootstrap],
      serializers: stringSerializers,
    });
    await producer.send({
      messages: numbers(from, to).map((value) => ({
        topic,
        partition: value % PARTITIONS,
        value: String(value),
      })),
    });
    await producer.close();
  }

  /** What a member alone in its group receives, sorted; it commits and leaves. */
  async function consume(
    groupId: string,
    topic: string,
    groupProtocol: "classic" | "consumer",
    count: number,
  ) {
    const consumer = new Consumer({
      clientId: "test",
      groupId,
      groupProtocol,
      bootstrapBrokers: [platform.bootstrap],
      deserializers: stringDeserializers,
      sessionTimeout: 10_000,
      heartbeatInterval: 500,
      maxWaitTime: 200,
    });
    const stream = await consumer.consume({
      topics: [topic],
      mode: "committed",
      fallbackMode: "earliest",
      autocommit: false,
    });
    const values: number[] = [];
    for await (const message of stream) {
      values.push(Number(message.value));
      await message.commit();
      if (values.length === count) break;
    }
    await stream.close();
    await consumer.close();
    return values.sort((a, b) => a - b);
  }
});
