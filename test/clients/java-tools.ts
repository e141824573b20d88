/**
 * The tools of Apache Kafka itself, 4.4 or later. KAFKA_TOOLS_CLASSPATH is their class path, for example `/opt/kafka/libs/*` of a
 * Kafka distribution, or the jars of kafka-tools and kafka_2.13 from Maven Central; Java 17 or later runs them.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Target } from "./client.ts";
import { run } from "./run.ts";

const classPath = process.env.KAFKA_TOOLS_CLASSPATH ?? "";

const CLASSES = {
  "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
  "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
  "kafka-topics": "org.apache.kafka.tools.TopicCommand",
  "kafka-configs": "org.apache.kafka.tools.ConfigCommand",
  "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
  "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
  "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
  "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
  "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
  "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
} as const;

export type Tool = keyof typeof CLASSES;

/** Kafka's version; undefined if it cannot be run. */
export async function kafkaVersion(): Promise<string | undefined> {
  if (classPath === "") return undefined;
  const printed = await java("kafka-topics", ["--version"]).catch(() => "");
  return printed.trim().split(" ")[0] || undefined;
}

/** Runs a tool against the cluster. */
export async function tool(name: Tool, target: Target, args: readonly string[], input = ""): Promise<string> {
  const { bootstrap, sasl } = target;
  const bootstrapped = [...args, "--bootstrap-server", bootstrap];
  if (sasl === undefined) return java(name, bootstrapped, input);
  const directory = await mkdtemp(join(tmpdir(), "edgelog-java-"));
  const file = join(directory, "client.properties");
  const module = "org.apache.kafka.common.security.plain.PlainLoginModule";
  const login = `${module} required username="${sasl.username}" password="${sasl.password}";`;
  const properties = [
    "security.protocol=SASL_PLAINTEXT",
    "sasl.mechanism=PLAIN",
    `sasl.jaas.config=${login}`,
  ];
  await writeFile(file, properties.join("\n"));
  try {
    return await java(
      name,
      [...bootstrapped, name === "kafka-cluster" ? "--config" : "--command-config", file],
      input,
    );
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Runs a tool that needs no cluster. */
export function java(name: Tool, args: readonly string[], input = ""): Promise<string> {
  return run("java", ["-Xmx512m", "-cp", classPath, CLASSES[name], ...args], { input });
}
