/** The tools of Apache Kafka itself, see java-tools.ts. */

import type { Client } from "./client.ts";
import { CODECS } from "./client.ts";
import { javaChecks } from "./java-checks.ts";
import { kafkaVersion, tool } from "./java-tools.ts";
import type { TestRecord } from "./records.ts";

export const javaClient: Client = {
  name: "Apache Kafka (Java)",
  codecs: CODECS,
  isBinary: false,
  async installed() {
    const version = await kafkaVersion();
    return version === undefined ? { missing: "Java and Kafka's jars (KAFKA_TOOLS_CLASSPATH)" } : { version };
  },
  async produce(target, topic, records, codec) {
    const lines = records.map(
      ({ key, value, headers }) => `${headers.map((header) => header.join(":"))}\t${key}\t${value}\n`,
    );
    const properties = ["--reader-property", "parse.key=true", "--reader-property", "parse.headers=true"];
    const args = ["--topic", topic, ...properties, "--compression-codec", codec];
    await tool("kafka-console-producer", target, args, lines.join(""));
  },
  async consume(target, topic, count) {
    const properties = ["print.headers=true", "print.key=true"].flatMap((one) => [
      "--formatter-property",
      one,
    ]);
    const limits = ["--from-beginning", "--max-messages", String(count), "--timeout-ms", "60000"];
    const printed = await tool("kafka-console-consumer", target, [
      "--topic",
      topic,
      ...properties,
      ...limits,
    ]);
    return printed.split("\n").slice(0, -1).map(recordOf);
  },
  checks: javaChecks,
};

function recordOf(line: string): TestRecord {
  const [headers = "", key = "", value = ""] = line.split("\t");
  const named = headers.split(",").map((header): [string, string] => {
    const [name = "", text = ""] = header.split(":");
    return [name, text];
  });
  return { key: Buffer.from(key), value: Buffer.from(value), headers: named };
}
