import type { Command } from "commander";
import type { Edgelog } from "../../client/edgelog.ts";
import type { PartitionOffset, TopicDescription } from "../../client/topics.ts";
import { TOPIC_CONFIGS } from "../../model/topic-configs.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { columns, printJson, printLine } from "../output.ts";

/** Each partition costs two requests. */
const PARTITIONS_SHOWN_MAX = 1_000;

interface DescribeOptions extends ConnectionOptions {
  readonly allConfigs?: boolean;
}

export function addTopicDescribe(topic: Command): void {
  withConnection(topic.command("describe"))
    .description("print a topic's id, configs and the offsets of its partitions")
    .argument("<topic>")
    .option("-a, --all-configs", "also the configs that have their default")
    .action(describe);
}

async function describe(name: string, options: DescribeOptions): Promise<void> {
  const client = connect(options);
  const topic = await client.topics.describe(name);
  const partitions = await partitionOffsets(client, topic);
  if (options.json) return printJson({ ...topic, offsets: partitions });
  const configs = Object.entries(topic.configs).filter(
    ([config, value]) => options.allConfigs || !hasDefault(config, value),
  );
  await printLine(
    columns([
      ["topic", topic.name],
      ["id", topic.id],
      ["partitions", String(topic.partitions)],
      ...configs.map(([config, value]) => [config, value]),
    ]),
  );
  await printLine("");
  const rows = partitions.map(({ partition, start, end }) =>
    [partition, start, end, end - start].map(String),
  );
  await printLine(columns([["partition", "log start", "log end", "offsets"], ...rows]));
  const left = topic.partitions - partitions.length;
  if (left > 0) await printLine(`… and ${left} more partitions`);
}

async function partitionOffsets(
  client: Edgelog,
  topic: TopicDescription,
): Promise<{ partition: number; start: number; end: number }[]> {
  const length = Math.min(topic.partitions, PARTITIONS_SHOWN_MAX);
  const partitions = Array.from({ length }, (_, partition) => partition);
  const earliest = await client.topics.offsets(topic.name, { partitions, timestamp: "earliest" });
  const latest = await client.topics.offsets(topic.name, { partitions, timestamp: "latest" });
  const start = new Map(earliest.map(({ partition, offset }: PartitionOffset) => [partition, offset]));
  return latest.map(({ partition, offset }) => ({
    partition,
    start: start.get(partition) ?? 0,
    end: offset,
  }));
}

function hasDefault(config: string, value: string): boolean {
  return TOPIC_CONFIGS.some((definition) => definition.name === config && definition.default === value);
}
