/**
 * One run of @confluentinc/kafka-javascript, as a process of its own: the package is compiled for one version of Node, which
 * need not be the one that runs the tests. Records are lines of JSON, keys and values in base64.
 *
 *     node confluent-child.mjs produce|consume '{"directory", "bootstrap", "topic", …}'
 */

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [command, json] = process.argv.slice(2);
const { directory, bootstrap, sasl, topic, codec, count, groupId, protocol } = JSON.parse(json);
const { KafkaJS, librdkafkaVersion } = createRequire(join(directory, "index.js"))(
  "@confluentinc/kafka-javascript",
);
const MESSAGES_PER_SEND = 5_000;

if (command === "version") console.log(librdkafkaVersion);
else if (command === "produce") await produce();
else await consume();

function connect() {
  const login = sasl === undefined ? {} : { sasl: { mechanism: "plain", ...sasl }, ssl: false };
  const { Kafka, logLevel } = KafkaJS;
  return new Kafka({ kafkaJS: { brokers: bootstrap.split(","), logLevel: logLevel.NOTHING, ...login } });
}

async function produce() {
  const producer = connect().producer({
    kafkaJS: { idempotent: true },
    "compression.codec": codec,
    partitioner: "murmur2_random",
  });
  await producer.connect();
  let messages = [];
  const send = async () => {
    await producer.send({ topic, messages });
    messages = [];
  };
  for await (const line of createInterface(process.stdin)) {
    const { key, value, headers } = JSON.parse(line);
    const bytes = (text) => (text === null ? null : Buffer.from(text, "base64"));
    messages.push({ key: bytes(key), value: bytes(value), headers: Object.fromEntries(headers) });
    if (messages.length === MESSAGES_PER_SEND) await send();
  }
  if (messages.length > 0) await send();
  await producer.disconnect();
}

async function consume() {
  const consumer = connect().consumer(
    protocol === "consumer"
      ? { "group.id": groupId, "group.protocol": protocol, "auto.offset.reset": "earliest" }
      : { kafkaJS: { groupId, fromBeginning: true } },
  );
  await consumer.connect();
  await consumer.subscribe({ topic });
  const lines = [];
  await new Promise((resolve) => {
    consumer.run({
      async eachMessage({ message: { key, value, headers = {} } }) {
        const text = (bytes) =>
          bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString("base64");
        const named = Object.entries(headers).map(([name, header]) => [name, String(header)]);
        lines.push(JSON.stringify({ key: text(key), value: text(value), headers: named }));
        if (lines.length === count) resolve();
      },
    });
  });
  process.stdout.write(`${lines.slice(0, count).join("\n")}\n`);
  await consumer.disconnect();
}
