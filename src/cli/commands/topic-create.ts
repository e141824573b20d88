import type { Command } from "commander";
import { PARTITIONS_PER_TOPIC_MAX } from "../../model/limits.ts";
import { assignment, collect, integerBetween } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { isErrorCode } from "../errors.ts";
import { note, printJson } from "../output.ts";

interface CreateOptions extends ConnectionOptions {
  readonly partitions?: number;
  readonly config?: readonly (readonly [string, string])[];
  readonly ifNotExists?: boolean;
}

export function addTopicCreate(topic: Command): void {
  const command = topic
    .command("create")
    .description("create a topic")
    .argument("<topic>", "its name")
    .option(
      "-p, --partitions <n>",
      "how many partitions (default: what the cluster says)",
      integerBetween(1, PARTITIONS_PER_TOPIC_MAX),
    )
    .option("-c, --config <name=value>", "a config by Kafka's name, may be repeated", collect(assignment))
    .option("--if-not-exists", "be content if there is one already");
  withConnection(command).action(create);
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { partitions, config = [], ifNotExists = false, json } = options;
  const { topics } = await connect(options);
  try {
    const created = await topics.create(name, {
      ...(partitions === undefined ? {} : { partitions }),
      configs: Object.fromEntries(config),
    });
    if (json) return await printJson(created);
    note(`Created ${name} with ${created.partitions} partition${created.partitions === 1 ? "" : "s"}.`);
  } catch (error) {
    if (!ifNotExists || !isErrorCode(error, "TOPIC_ALREADY_EXISTS")) throw error;
    if (json) return await printJson(await topics.describe(name));
    note(`${name} exists already.`);
  }
}
