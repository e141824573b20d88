/** What is run with Kafka's own tools, beside producing and consuming. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Check, Target } from "./client.ts";
import { createTopic, describePartition, produceOverHttp } from "./http.ts";
import { java, tool } from "./java-tools.ts";
import { textRecords } from "./records.ts";
import { copySegments } from "./tiered-blobs.ts";

const TIERED_RECORDS = 20_000;
const SEGMENTS = 2;
const PATIENCE_MS = 60_000;

export const javaChecks: readonly Check[] = [
  {
    what: "kafka-topics",
    async run(target) {
      const topic = `java-topics-${target.route}`;
      const sizes = ["--partitions", "2", "--replication-factor", "3"];
      await tool("kafka-topics", target, [
        "--create",
        "--topic",
        topic,
        ...sizes,
        "--config",
        "retention.ms=5000",
      ]);
      await tool("kafka-topics", target, ["--alter", "--topic", topic, "--partitions", "5"]);
      const described = await tool("kafka-topics", target, ["--describe", "--topic", topic]);
      expectIn(described, "PartitionCount: 5", "ReplicationFactor: 3", "retention.ms=5000", "Partition: 4");
      expectIn(await tool("kafka-topics", target, ["--list"]), topic);
      await tool("kafka-topics", target, ["--delete", "--topic", topic]);
      if ((await tool("kafka-topics", target, ["--list"])).includes(topic))
        throw new Error("it is still there");
      return "create, alter, describe, list, delete";
    },
  },
  {
    what: "kafka-configs",
    async run(target, topic) {
      const entity = ["--entity-type", "topics", "--entity-name", topic];
      await tool("kafka-configs", target, ["--alter", ...entity, "--add-config", "max.message.bytes=500000"]);
      expectIn(await tool("kafka-configs", target, ["--describe", ...entity]), "max.message.bytes=500000");
      await tool("kafka-configs", target, ["--alter", ...entity, "--delete-config", "max.message.bytes"]);
      const all = await tool("kafka-configs", target, ["--describe", "--all", ...entity]);
      expectIn(all, "max.message.bytes=1048588", "retention.ms=604800000");
      return "add, describe, delete";
    },
  },
  {
    what: "kafka-get-offsets",
    async run(target) {
      const topic = `java-offsets-${target.route}`;
      await createTopic(target, topic, 1);
      await produceOverHttp(target, topic, textRecords("java", 10));
      const at = async (time: string) =>
        (await tool("kafka-get-offsets", target, ["--topic", topic, "--time", time])).trim();
      const answers = { latest: 10, earliest: 0, "max-timestamp": 0, "earliest-local": 0, "0": 0 };
      for (const [time, offset] of Object.entries(answers)) {
        const said = await at(time);
        if (time !== "max-timestamp" && said !== `${topic}:0:${offset}`) throw new Error(`${time}: ${said}`);
      }
      // Nothing is tiered, and nothing is so young: the tool shows no offset.
      for (const time of ["latest-tiered", String(Date.now() + 1_000_000)]) await at(time);
      return "all special times, by time";
    },
  },
  {
    what: "kafka-delete-records",
    async run(target) {
      const topic = `java-deleted-${target.route}`;
      await createTopic(target, topic, 1);
      await produceOverHttp(target, topic, textRecords("java", 10));
      await withFile(
        JSON.stringify({ version: 1, partitions: [{ topic, partition: 0, offset: 4 }] }),
        (file) => tool("kafka-delete-records", target, ["--offset-json-file", file]),
      );
      const { log_start_offset: start } = await describePartition(target, topic, 0);
      if (start !== 4) throw new Error(`the log starts at ${start}`);
      return undefined;
    },
  },
  {
    what: "kafka-log-dirs, kafka-cluster, kafka-broker-api-versions",
    async run(target, topic) {
      expectIn(
        await tool("kafka-log-dirs", target, ["--describe", "--topic-list", topic]),
        `"partition":"${topic}-0"`,
      );
      expectIn(await tool("kafka-cluster", target, ["cluster-id"]), "Cluster ID: ");
      expectIn(await tool("kafka-broker-api-versions", target, []), "Produce(0): 0 to 13");
      return undefined;
    },
  },
  { what: "kafka-dump-log --deep-iteration of tiered segments", run: dumpTieredSegments },
];

/** Fills several segments, waits until they are in R2, and has Kafka read them there. */
async function dumpTieredSegments(target: Target): Promise<string> {
  const topic = `java-tiered-${target.route}`;
  const id = await createTopic(target, topic, 1, { "segment.bytes": "200000", "local.retention.ms": "0" });
  const records = textRecords("java", TIERED_RECORDS);
  await produceOverHttp(target, topic, records);
  const before = Date.now() + PATIENCE_MS;
  for (;;) {
    const { remote_segments: remote } = await describePartition(target, topic, 0);
    if (remote >= SEGMENTS) break;
    if (Date.now() > before) throw new Error(`${remote} segments are in R2`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const directory = await mkdtemp(join(tmpdir(), "edgelog-segments-"));
  try {
    const files = copySegments(target.dataDir, id, 0, directory);
    let next = 0;
    for (const file of files) {
      const dump = await java("kafka-dump-log", ["--deep-iteration", "--print-data-log", "--files", file]);
      next = checkDump(
        dump,
        next,
        records.map(({ value }) => String(value)),
      );
    }
    if (files.length < SEGMENTS || next === 0) throw new Error(`${files.length} segments, ${next} records`);
    return `${files.length} segments, ${next} records`;
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Returns the offset after the last record. */
function checkDump(dump: string, first: number, values: readonly string[]): number {
  if (/isvalid: false|corrupt|invalid|mismatch/i.test(dump))
    throw new Error(`it complains: ${dump.slice(0, 2_000)}`);
  let offset = first;
  for (const [, at, payload] of dump.matchAll(/^\| offset: (\d+) .*payload: (.*)$/gm)) {
    if (Number(at) !== offset || payload !== values[offset])
      throw new Error(`at ${offset}: ${at}, ${payload}`);
    offset++;
  }
  return offset;
}

function expectIn(printed: string, ...texts: readonly string[]): void {
  for (const text of texts) {
    if (!printed.includes(text)) throw new Error(`${text} is not in: ${printed.slice(0, 1_000)}`);
  }
}

async function withFile<T>(content: string, work: (file: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "edgelog-java-"));
  const file = join(directory, "input.json");
  await writeFile(file, content);
  return work(file).finally(() => rm(directory, { recursive: true }));
}
