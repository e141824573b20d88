import type { Command } from "commander";
import { PARTITIONS_PER_TOPIC_MAX } from "../../model/limits.ts";
import { assignment, collect, integerBetween } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { UsageError } from "../errors.ts";
import { note, printJson } from "../output.ts";

interface AlterOptions extends ConnectionOptions {
  readonly partitions?: number;
  readonly config?: readonly (readonly [string, string])[];
  readonly deleteConfig?: readonly string[];
}

export function addTopicAlter(topic: Command): void {
  const command = topic
    .command("alter")
    .description("change a topic's configs or add partitions")
    .argument("<topic>")
    .option(
      "-p, --partitions <n>",
      "how many partitions there shall be; they can only become more",
      integerBetween(1, PARTITIONS_PER_TOPIC_MAX),
    )
    .option("-c, --config <name=value>", "set a config, may be repeated", collect(assignment))
    .option(
      "-d, --delete-config <name>",
      "put a config back to its default, may be repeated",
      collect(String),
    );
  withConnection(command).action(alter);
}

async function alter(name: string, options: AlterOptions): Promise<void> {
  const { partitions, config = [], deleteConfig = [], json } = options;
  if (partitions === undefined && config.length === 0 && deleteConfig.length === 0) {
    throw new UsageError("Nothing to change: give --config, --delete-config or --partitions");
  }
  const both = config.map(([changed]) => changed).find((changed) => deleteConfig.includes(changed));
  if (both !== undefined) throw new UsageError(`${both} cannot be set and deleted at once`);
  const { topics } = await connect(options);
  const altered = await topics.alter(name, {
    ...(partitions === undefined ? {} : { partitions }),
    configs: Object.fromEntries([...config, ...deleteConfig.map((deleted) => [deleted, null] as const)]),
  });
  if (json) return printJson(altered);
  note(`Altered ${name}.`);
}
