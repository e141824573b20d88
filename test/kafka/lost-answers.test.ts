import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Producer, stringSerializers } from "@platformatic/kafka";
import { Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const entry = fileURLToPath(new URL("./lossy-worker.ts", import.meta.url).href);
const hasKcat = spawnSync("kcat", ["-V"]).status === 0;
const VALUES = ["a", "b", "c", "d", "e", "f"];

describe("a batch that was stored, and whose acknowledgement was lost,", () => {
  let platform: KafkaPlatform;
  beforeAll(async () => {
    platform = await startKafkaPlatform({ entry, quiet: true });
  });
  afterAll(async () => {
    await platform.stop();
  });

  it("is answered with the error that says so: retriable, and possibly stored", async () => {
    await createTopic("raw");
    const client = await connect();
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value: Buffer.from("a") }]);
    const topicData = [{ name: "raw", topicId: "", partitionData: [{ index: 0, records }] }];
    const { responses } = await client.ask(produceApi, 8, { acks: -1, timeoutMs: 1_000, topicData });
    client.close();
    const requestTimedOut = 7;
    expect(responses[0]?.partitionResponses).toMatchObject([{ errorCode: requestTimedOut }]);
    expect(await valuesOf("raw")).toEqual(["a"]);
  });

  it("is there once after the idempotent producer of kafkajs has sent it again", async () => {
    await createTopic("kafkajs");
    const kafka = new Kafka({
      brokers: [platform.bootstrap],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 10 },
    });
    const producer = kafka.producer({ idempotent: true });
    await producer.connect();
    for (const value of VALUES) await producer.send({ topic: "kafkajs", messages: [{ value }] });
    await producer.disconnect();
    expect(await valuesOf("kafkajs")).toEqual(VALUES);
  });

  it("is there once after the idempotent producer of @platformatic/kafka has sent it again", async () => {
    await createTopic("platformatic");
    const producer = new Producer({
      clientId: "test",
      bootstrapBrokers: [platform.bootstrap],
      serializers: stringSerializers,
      idempotent: true,
      retryDelay: 10,
    });
    for (const value of VALUES) await producer.send({ messages: [{ topic: "platformatic", value }] });
    await producer.close();
    expect(await valuesOf("platformatic")).toEqual(VALUES);
  });

  it.skipIf(!hasKcat)(
    "is there once after the idempotent producer of librdkafka has sent it again",
    async () => {
      await createTopic("librdkafka");
      const settings = ["enable.idempotence=true", "retry.backoff.ms=10", "batch.num.messages=1"];
      const args = [
        "-b",
        platform.bootstrap,
        "-P",
        "-t",
        "librdkafka",
        ...settings.flatMap((one) => ["-X", one]),
      ];
      execFileSync("kcat", args, { input: `${VALUES.join("\n")}\n`, timeout: 30_000, stdio: "pipe" });
      expect(await valuesOf("librdkafka")).toEqual(VALUES);
    },
  );

  async function connect(): Promise<RawClient> {
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    return RawClient.connect(address);
  }

  async function createTopic(name: string): Promise<void> {
    const client = await connect();
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    await client.ask(createTopicsApi, 7, { topics: [topic] });
    client.close();
  }

  async function valuesOf(topic: string): Promise<(string | null)[]> {
    const values: (string | null)[] = [];
    const records = new Edgelog({ url: platform.url }).consume(topic, { from: "earliest" });
    const { highWatermark } = await new Edgelog({ url: platform.url }).topics.describePartition(topic, 0);
    for await (const record of records) {
      values.push(record.value === null ? null : Buffer.from(record.value).toString());
      if (values.length === highWatermark) break;
    }
    return values;
  }
});
