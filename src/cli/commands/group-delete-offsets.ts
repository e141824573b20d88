import type { Command } from "commander";
import { collect } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { note, printJson } from "../output.ts";
import { type NamedPartitions, topicAndPartitions } from "../topic-partitions.ts";

interface DeleteOffsetsOptions extends ConnectionOptions {
  readonly topic: readonly NamedPartitions[];
}

export function addGroupDeleteOffsets(group: Command): void {
  const command = group
    .command("delete-offsets")
    .description("forget what a group has committed of topics that it is not subscribed to any more")
    .argument("<group>")
    .requiredOption(
      "--topic <topic[:p,p]>",
      "a topic, or some of its partitions; may be repeated",
      collect(topicAndPartitions),
    );
  withConnection(command).action(deleteOffsets);
}

async function deleteOffsets(group: string, options: DeleteOffsetsOptions): Promise<void> {
  const { groups } = await connect(options);
  for (const { topic, partitions } of options.topic) {
    for (const partition of partitions ?? [undefined]) {
      await groups.deleteOffsets(group, topic, partition === undefined ? {} : { partition });
      if (options.json) await printJson({ group, topic, partition: partition ?? null, deleted: true });
    }
  }
  if (!options.json) note(`Deleted the offsets from ${group}.`);
}
