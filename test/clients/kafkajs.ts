import kafkajs from "kafkajs";
import type { Client, Target } from "./client.ts";
import type { TestRecord } from "./records.ts";
import { packageVersion } from "./run.ts";

const { CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs;
const MESSAGES_PER_SEND = 5_000;
let groups = 0;

export const kafkajsClient: Client = {
  name: "kafkajs",
  // The others are plug-ins of third parties.
  codecs: ["none", "gzip"],
  isBinary: true,
  async installed() {
    return { version: await packageVersion("kafkajs") };
  },
  async produce(target, topic, records, codec) {
    const producer = new Kafka(optionsOf(target)).producer({
      idempotent: true,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    const compression = codec === "gzip" ? CompressionTypes.GZIP : CompressionTypes.None;
    await producer.connect();
    for (let at = 0; at < records.length; at += MESSAGES_PER_SEND) {
      const messages = records.slice(at, at + MESSAGES_PER_SEND).map(({ key, value, headers }) => ({
        key,
        value,
        headers: Object.fromEntries(headers),
      }));
      await producer.send({ topic, compression, messages });
    }
    await producer.disconnect();
  },
  async consume(target, topic, count) {
    const consumer = new Kafka(optionsOf(target)).consumer({ groupId: `kafkajs-${++groups}-${topic}` });
    const records: TestRecord[] = [];
    const all = Promise.withResolvers<void>();
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      async eachMessage({ message: { key, value, headers = {} } }) {
        const named = Object.entries(headers).map(([name, text]): [string, string] => [name, String(text)]);
        records.push({ key, value, headers: named });
        if (records.length === count) all.resolve();
      },
    });
    await all.promise;
    await consumer.disconnect();
    return records;
  },
  checks: [
    {
      what: "admin",
      async run(target) {
        const topic = `kafkajs-admin-${target.route}`;
        const admin = new Kafka(optionsOf(target)).admin();
        await admin.connect();
        await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 3 }] });
        await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
        if (topics[0]?.partitions.length !== 3) throw new Error("the topic has not 3 partitions");
        await admin.fetchTopicOffsets(topic);
        await admin.describeCluster();
        await admin.deleteTopics({ topics: [topic] });
        if ((await admin.listTopics()).includes(topic)) throw new Error("the topic is still there");
        await admin.disconnect();
        return "topics, partitions, offsets, cluster";
      },
    },
  ],
};

function optionsOf({ bootstrap, sasl }: Target) {
  const login = sasl === undefined ? {} : { sasl: { mechanism: "plain" as const, ...sasl } };
  return { brokers: bootstrap.split(","), logLevel: logLevel.NOTHING, ...login };
}
