import type { Command } from "commander";
import type { Edgelog } from "../../client/edgelog.ts";
import type { PartitionDescription, TopicDetails } from "../../client/topics.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { columns, printJson, printLine } from "../output.ts";

/** Each partition is a question to its leader. */
const PARTITIONS_SHOWN_MAX = 1_000;
const AT_ONCE = 16;

interface DescribeOptions extends ConnectionOptions {
  readonly allConfigs?: boolean;
}

export function addTopicDescribe(topic: Command): void {
  const command = topic
    .command("describe")
    .description("print a topic's id, its configs and where its partitions stand")
    .argument("<topic>")
    .option("-a, --all-configs", "also the configs that have their default");
  withConnection(command).action(describe);
}

async function describe(name: string, options: DescribeOptions): Promise<void> {
  const client = await connect(options);
  const topic = await client.topics.describe(name);
  const partitions = await describePartitions(client, topic);
  if (options.json) return printJson({ ...topic, partitionDetails: partitions });
  const configs = options.allConfigs ? topic.configsInEffect : topic.configs;
  await printLine(
    columns([
      ["topic", topic.name],
      ["id", topic.id],
      ["partitions", String(topic.partitions)],
      ...Object.entries(configs),
    ]),
  );
  await printLine("");
  const header = ["partition", "log start", "log end", "segments in SQLite", "in R2", "bytes", "subscribers"];
  await printLine(columns([header, ...partitions.map(partitionRow)]));
  const left = topic.partitions - partitions.length;
  if (left > 0) await printLine(`… and ${left} more partitions`);
}

async function describePartitions(client: Edgelog, topic: TopicDetails): Promise<PartitionDescription[]> {
  const shown = Math.min(topic.partitions, PARTITIONS_SHOWN_MAX);
  const described: PartitionDescription[] = [];
  while (described.length < shown) {
    const length = Math.min(AT_ONCE, shown - described.length);
    const some = Array.from({ length }, (_, i) =>
      client.topics.describePartition(topic.name, described.length + i),
    );
    described.push(...(await Promise.all(some)));
  }
  return described;
}

function partitionRow(partition: PartitionDescription): string[] {
  const { logStartOffset, highWatermark, localSegments, remoteSegments, localBytes, remoteBytes } = partition;
  return [
    partition.partition,
    logStartOffset,
    highWatermark,
    localSegments,
    remoteSegments,
    localBytes + remoteBytes,
    partition.subscribers,
  ].map(String);
}
