/** @platformatic/kafka, the client that uses the highest, flexible versions. */

import {
  Admin,
  Consumer,
  compatibilityPartitioner,
  type MessageToProduce,
  Producer,
} from "@platformatic/kafka";
import type { Client, Codec, Target } from "./client.ts";
import { CODECS } from "./client.ts";
import type { TestRecord } from "./records.ts";
import { packageVersion } from "./run.ts";

const MESSAGES_PER_SEND = 5_000;
const CLIENT_ID = "test-clients";
let groups = 0;

export const platformaticClient: Client = {
  name: "@platformatic/kafka",
  codecs: CODECS,
  isBinary: true,
  async installed() {
    return { version: await packageVersion("@platformatic/kafka") };
  },
  produce,
  consume: (target, topic, count) => consume(target, topic, count, "classic"),
  checks: [
    {
      what: "group.protocol=consumer",
      async run(target, topic) {
        const [first] = await consume(target, topic, 1, "consumer");
        if (first === undefined) throw new Error("nothing came");
        return undefined;
      },
    },
    {
      what: "admin",
      async run(target) {
        const topic = `platformatic-admin-${target.route}`;
        const admin = new Admin({ ...optionsOf(target), strict: true });
        await admin.createTopics({ topics: [topic], partitions: 3, replicas: 3 });
        const { topics } = await admin.metadata({ topics: [topic] });
        if (topics.get(topic)?.partitionsCount !== 3) throw new Error("the topic has not 3 partitions");
        await admin.deleteTopics({ topics: [topic] });
        if ((await admin.listTopics()).includes(topic)) throw new Error("the topic is still there");
        await admin.close();
        return "topics, metadata";
      },
    },
  ],
};

async function produce(target: Target, topic: string, records: readonly TestRecord[], compression: Codec) {
  const producer = new Producer<Buffer, Buffer, string, string>({
    ...optionsOf(target),
    serializers: {
      key: (key) => key,
      value: (value) => value,
      headerKey: (name) => Buffer.from(name ?? ""),
      headerValue: (value) => Buffer.from(value ?? ""),
    },
    idempotent: true,
    compression,
    // Its default is not Java's.
    partitioner: compatibilityPartitioner,
  });
  for (let at = 0; at < records.length; at += MESSAGES_PER_SEND) {
    const messages = records.slice(at, at + MESSAGES_PER_SEND).map(({ key, value, headers }) => {
      const message: MessageToProduce<Buffer, Buffer, string, string> = { topic, headers: new Map(headers) };
      return { ...message, ...(key !== null && { key }), ...(value !== null && { value }) };
    });
    await producer.send({ messages });
  }
  await producer.close();
}

async function consume(
  target: Target,
  topic: string,
  count: number,
  groupProtocol: "classic" | "consumer",
): Promise<TestRecord[]> {
  const consumer = new Consumer<Buffer, Buffer, string, string>({
    ...optionsOf(target),
    groupId: `group-${++groups}-${topic}`,
    groupProtocol,
    deserializers: {
      key: (key) => key,
      value: (value) => value,
      headerKey: (name) => name?.toString(),
      headerValue: (value) => value?.toString(),
    },
    maxWaitTime: 500,
  });
  const stream = await consumer.consume({ topics: [topic], mode: "committed", fallbackMode: "earliest" });
  const records: TestRecord[] = [];
  for await (const { key, value, headers } of stream) {
    records.push({ key: key ?? null, value: value ?? null, headers: [...headers] });
    if (records.length === count) break;
  }
  await stream.close();
  await consumer.close();
  return records;
}

function optionsOf({ bootstrap, sasl }: Target) {
  const login = sasl === undefined ? {} : { sasl: { mechanism: "PLAIN" as const, ...sasl } };
  return { clientId: CLIENT_ID, bootstrapBrokers: bootstrap.split(","), ...login };
}
