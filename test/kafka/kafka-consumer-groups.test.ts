/**
 * Apache Kafka's own command. KAFKA_TOOLS_CLASSPATH names its jars (`org.apache.kafka:kafka-tools` with what it needs, as
 * `mvn dependency:copy-dependencies` gathers them), such as `/opt/kafka/libs/*`; it runs on Java 17 or later.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Consumer } from "@platformatic/kafka";
import kafkajs from "kafkajs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";

const classpath = process.env.KAFKA_TOOLS_CLASSPATH ?? "";
if (classpath === "") {
  console.warn("SKIPPED: kafka-consumer-groups, because KAFKA_TOOLS_CLASSPATH does not name Kafka's jars.");
}

const MAIN = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const PARTITIONS = 3;
const RECORDS = 10;

describe.skipIf(classpath === "")("kafka-consumer-groups", { timeout: 180_000 }, () => {
  let platform: KafkaPlatform;
  let client: Edgelog;
  beforeAll(async () => {
    platform = await startKafkaPlatform({ vars: { EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS: "0" } });
    client = new Edgelog({ url: platform.url });
  });
  afterAll(() => platform.stop());

  async function tool(...args: string[]): Promise<string> {
    const java = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classpath, MAIN];
    const child = spawn("java", [...java, "--bootstrap-server", platform.bootstrap, ...args]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    await once(child, "close");
    return output;
  }

  /** Cells of the lines that begin with the group. */
  async function table(group: string, ...args: string[]): Promise<string[][]> {
    const lines = (await tool("--group", group, ...args)).split("\n").map((line) => line.trim().split(/\s+/));
    return lines.filter(([first]) => first === group);
  }

  /** Reads and commits the whole topic, and stays. */
  async function classicMember(group: string, topic: string): Promise<() => Promise<void>> {
    const { Kafka, logLevel } = kafkajs;
    const kafka = new Kafka({
      brokers: [platform.bootstrap],
      clientId: "member",
      logLevel: logLevel.NOTHING,
    });
    const consumer = kafka.consumer({ groupId: group });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    let left = PARTITIONS * RECORDS;
    const done = Promise.withResolvers<void>();
    await consumer.run({
      autoCommitThreshold: 1,
      eachMessage: async () => {
        if (--left === 0) done.resolve();
      },
    });
    await done.promise;
    return () => consumer.disconnect();
  }

  async function consumerMember(group: string, topic: string): Promise<() => Promise<void>> {
    const consumer = new Consumer({
      groupId: group,
      clientId: "member",
      bootstrapBrokers: [platform.bootstrap],
      groupProtocol: "consumer",
    });
    const stream = await consumer.consume({ topics: [topic], mode: "earliest", autocommit: false });
    let left = PARTITIONS * RECORDS;
    const done = Promise.withResolvers<void>();
    stream.on("data", (message) => {
      Promise.resolve(message.commit()).then(() => {
        if (--left === 0) done.resolve();
      }, done.reject);
    });
    await done.promise;
    return () => consumer.close(true);
  }

  test.each([
    ["classic", classicMember],
    ["consumer", consumerMember],
  ] as const)("lists, describes, moves and deletes a %s group", async (type, join) => {
    const topic = `topic-${type}`;
    const group = `group-${type}`;
    await client.topics.create(topic, { partitions: PARTITIONS });
    const producer = client.producer({ topic });
    await producer.send(
      Array.from({ length: PARTITIONS * RECORDS }, (_, i) => ({ value: "x", partition: i % PARTITIONS })),
    );
    await producer.close();
    const leave = await join(group, topic);

    expect((await tool("--list")).split("\n")).toContain(group);
    expect(await table(group, "--describe", "--members")).toEqual([
      [group, expect.any(String), "127.0.0.1", "member", "3"],
    ]);
    expect((await table(group, "--describe", "--state"))[0]?.slice(-2)).toEqual(["Stable", "1"]);
    expect(await table(group, "--delete-offsets", "--topic", topic)).toEqual([]);
    expect(await tool("--group", group, "--delete-offsets", "--topic", topic)).toContain(
      "GroupSubscribedToTopicException",
    );
    expect(await tool("--group", group, "--delete")).toContain("GroupNotEmptyException");
    expect(
      await tool("--group", group, "--reset-offsets", "--to-earliest", "--all-topics", "--execute"),
    ).toContain("the current state is Stable");
    await leave();

    const rows = async () => (await table(group, "--describe")).map((row) => row.slice(2, 6).map(Number));
    expect(await rows()).toEqual([0, 1, 2].map((partition) => [partition, RECORDS, RECORDS, 0]));
    const moved = async (...args: string[]) =>
      (await table(group, "--reset-offsets", "--topic", topic, ...args)).map((row) => Number(row[3]));
    expect(await moved("--shift-by", "-3", "--dry-run")).toEqual([7, 7, 7]);
    expect(await moved("--by-duration", "PT1H", "--dry-run")).toEqual([0, 0, 0]);
    expect(await moved("--to-offset", "99", "--dry-run")).toEqual([10, 10, 10]);
    expect(await rows()).toEqual([0, 1, 2].map((partition) => [partition, RECORDS, RECORDS, 0]));
    expect(await moved("--to-offset", "4", "--execute")).toEqual([4, 4, 4]);
    expect(await rows()).toEqual([0, 1, 2].map((partition) => [partition, 4, RECORDS, 6]));
    expect(await tool("--group", group, "--delete-offsets", "--topic", `${topic}:1`)).toContain("Successful");
    expect((await rows()).map(([partition]) => partition)).toEqual([0, 2]);
    expect(await tool("--group", group, "--delete")).toContain("was successful");
    expect((await tool("--list")).split("\n")).not.toContain(group);
  });
});
