import { Admin, Producer, stringSerializers } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";

/** The client that uses the highest, flexible versions. */
describe("@platformatic/kafka", () => {
  let platform: KafkaPlatform;
  let admin: Admin;
  beforeAll(async () => {
    platform = await startKafkaPlatform();
    admin = new Admin({ clientId: "test", bootstrapBrokers: [platform.bootstrap], strict: true });
  });
  afterAll(async () => {
    await admin.close();
    await platform.stop();
  });

  it.each(["none", "gzip", "snappy", "lz4", "zstd"] as const)(
    "produces idempotently with %s",
    async (compression) => {
      const topic = `produced-${compression}`;
      await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
      const producer = new Producer({
        clientId: "test",
        bootstrapBrokers: [platform.bootstrap],
        serializers: stringSerializers,
        idempotent: true,
        compression,
      });
      const messages = Array.from({ length: 200 }, (_, index) => ({
        topic,
        key: `k${index}`,
        value: `v${index}`,
      }));
      await producer.send({ messages });
      await producer.send({ messages });
      await producer.close();
      const values = messages.map(({ value }) => value);
      expect(await valuesOf(topic)).toEqual([...values, ...values]);
    },
  );

  it("administers topics", async () => {
    const [created] = await admin.createTopics({ topics: ["administered"], partitions: 3, replicas: 1 });
    expect(created).toMatchObject({ name: "administered", partitions: 3, replicas: 1 });
    expect(await admin.listTopics()).toContain("administered");
    const { topics } = await admin.metadata({ topics: ["administered"] });
    expect(topics.get("administered")).toMatchObject({ partitionsCount: 3 });
    await admin.deleteTopics({ topics: ["administered"] });
    expect(await admin.listTopics()).not.toContain("administered");
  });

  async function valuesOf(topic: string): Promise<string[]> {
    const url = `${platform.url}/v1/topics/${topic}/partitions/0/records?offset=0&max_bytes=8000000`;
    const answer: unknown = await (await fetch(url)).json();
    const records = (answer as { records: readonly { value: string }[] }).records;
    return records.map(({ value }) => value);
  }
});
