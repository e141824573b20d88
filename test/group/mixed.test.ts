import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { type KafkaPlatform, startKafkaPlatform } from "../kafka/kafka-platform.ts";

const PARTITIONS = 4;

/** Kafka clients and the SDK in one group. */
describe("a group of members of several kinds", () => {
  let platform: KafkaPlatform;
  let admin: Admin;
  let producer: Producer<string, string, string, string>;
  beforeAll(async () => {
    platform = await startKafkaPlatform({ vars: { EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS: "0" } });
    admin = new Admin({ clientId: "test", bootstrapBrokers: [platform.bootstrap], strict: true });
    producer = new Producer({
      clientId: "test",
      bootstrapBrokers: [platform.bootstrap],
      serializers: stringSerializers,
    });
  });
  afterAll(async () => {
    await producer.close();
    await admin.close();
    await platform.stop();
  });

  async function produce(topic: string, from: number, to: number) {
    await producer.send({
      messages: Array.from({ length: to - from }, (_, i) => ({
        topic,
        partition: (from + i) % PARTITIONS,
        value: String(from + i),
      })),
    });
  }

  it.each(["classic", "consumer"] as const)(
    "shares its partitions, one of them speaking the %s protocol",
    async (groupProtocol) => {
      const topic = `topic-${groupProtocol}`;
      const group = `group-${groupProtocol}`;
      await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1 });
      await produce(topic, 0, 100);
      const values: number[] = [];
      let changed = () => {};
      const took = (value: string | null | undefined) => {
        values.push(Number(value));
        changed();
      };
      const until = async (done: () => boolean) => {
        while (!done()) {
          await new Promise<void>((resolve) => {
            changed = resolve;
          });
        }
      };
      const consumer = new Consumer({
        clientId: "kafka",
        groupId: group,
        groupProtocol,
        bootstrapBrokers: [platform.bootstrap],
        deserializers: stringDeserializers,
        sessionTimeout: 10_000,
        heartbeatInterval: 200,
        maxWaitTime: 100,
      });
      const stream = await consumer.consume({
        topics: [topic],
        mode: "committed",
        fallbackMode: "earliest",
        autocommit: 50,
      });
      let ofKafka = 0;
      stream.on("data", ({ value }) => {
        ofKafka += 1;
        took(value);
      });
      await until(() => new Set(values).size === 100);
      const client = new Edgelog({ url: platform.url });
      const owned = new Set<number>();
      const records = client.consume(topic, {
        group,
        from: "earliest",
        onAssigned: (partitions) => {
          for (const { partition } of partitions) owned.add(partition);
          changed();
        },
      });
      let ofNode = 0;
      const loop = (async () => {
        for await (const record of records) {
          ofNode += 1;
          took(record.text());
        }
      })();
      await until(() => owned.size === PARTITIONS / 2);
      const before = { ofKafka, ofNode };
      let produced = 100;
      // Until both have had a share.
      while (ofKafka === before.ofKafka || ofNode === before.ofNode) {
        await produce(topic, produced, produced + 20);
        produced += 20;
        await until(() => new Set(values).size === produced);
      }
      await stream.close();
      await consumer.close();
      await until(() => owned.size === PARTITIONS);
      await produce(topic, produced, produced + 100);
      await until(() => new Set(values).size === produced + 100);
      await records.close();
      await loop;
      expect([...new Set(values)].sort((a, b) => a - b)).toEqual(
        Array.from({ length: produced + 100 }, (_, i) => i),
      );
      expect(await client.groups.describe(group)).toMatchObject({ state: "Empty", lagRecords: 0 });
    },
  );
});
