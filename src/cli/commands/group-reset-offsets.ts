import type { Command } from "commander";
import type { OffsetReset, ResetTo, TopicSelection } from "../../client/groups/reset-offsets.ts";
import { collect, integerBetween } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { CliError, UsageError } from "../errors.ts";
import { count } from "../group-tables.ts";
import { columns, note, printJson, printLine } from "../output.ts";
import { dateTime, duration } from "../times.ts";
import { type NamedPartitions, topicAndPartitions } from "../topic-partitions.ts";

interface ResetOptions extends ConnectionOptions {
  readonly toEarliest?: boolean;
  readonly toLatest?: boolean;
  readonly toCurrent?: boolean;
  readonly toOffset?: number;
  readonly shiftBy?: number;
  readonly toDatetime?: number;
  readonly byDuration?: number;
  readonly topic?: readonly NamedPartitions[];
  readonly allTopics?: boolean;
  readonly dryRun?: boolean;
  readonly execute?: boolean;
}

const OFFSET_MAX = Number.MAX_SAFE_INTEGER;

export function addGroupResetOffsets(group: Command): void {
  const command = group
    .command("reset-offsets")
    .description("move a group that has no members; says what it would do, and does it with --execute")
    .argument("<group>", "need not exist yet")
    .option("--to-earliest", "to the log start")
    .option("--to-latest", "to the log end")
    .option("--to-current", "to where it is; to the log end where nothing is committed")
    .option("--to-offset <n>", "to an offset", integerBetween(0, OFFSET_MAX))
    .option("--shift-by <n>", "so many records on, or back (-n)", integerBetween(-OFFSET_MAX, OFFSET_MAX))
    .option(
      "--to-datetime <time>",
      "to the first record from then on: 2026-03-01T12:30:00.000 (UTC)",
      dateTime,
    )
    .option("--by-duration <duration>", "to what came so long ago: PT1H, P1DT12H", duration)
    .option(
      "--topic <topic[:p,p]>",
      "a topic, or some of its partitions; may be repeated",
      collect(topicAndPartitions),
    )
    .option("--all-topics", "all partitions that have a committed offset")
    .option("--dry-run", "only say what would be done (the default)")
    .option("--execute", "do it");
  withConnection(command).action(reset);
}

async function reset(group: string, options: ResetOptions): Promise<void> {
  const { json, execute = false } = options;
  if (execute && options.dryRun) throw new UsageError("Give either --dry-run or --execute.");
  const to = targetOf(options);
  const topics = topicsOf(options);
  const { groups } = await connect(options);
  const plan = await groups.resetOffsets(group, {
    to,
    dryRun: !execute,
    ...(topics !== undefined && { topics }),
  });
  if (plan.length === 0) {
    throw new CliError(
      `Group ${group} has no committed offsets that --all-topics could mean; name topics with --topic.`,
    );
  }
  for (const { topic, partition, offset, outOfRange } of plan) {
    if (outOfRange === null) continue;
    note(`Partition ${partition} of ${topic} has no offset ${outOfRange}: ${offset} instead.`);
  }
  if (json) for (const each of plan) await printJson({ group, ...each, executed: execute });
  else await printLine(table(plan));
  note(
    execute
      ? `Moved ${group} in ${count(plan.length, "partition")}.`
      : "Nothing is changed yet; --execute does it.",
  );
}

function table(plan: readonly OffsetReset[]): string {
  return columns([
    ["topic", "partition", "committed", "new offset"],
    ...plan.map(({ topic, partition, previousOffset, offset }) => [
      topic,
      String(partition),
      previousOffset === null ? "-" : String(previousOffset),
      String(offset),
    ]),
  ]);
}

function targetOf(options: ResetOptions): ResetTo {
  const targets: [flag: string, to: ResetTo][] = [];
  if (options.toEarliest) targets.push(["--to-earliest", "earliest"]);
  if (options.toLatest) targets.push(["--to-latest", "latest"]);
  if (options.toCurrent) targets.push(["--to-current", "current"]);
  if (options.toOffset !== undefined) targets.push(["--to-offset", { offset: options.toOffset }]);
  if (options.shiftBy !== undefined) targets.push(["--shift-by", { shiftBy: options.shiftBy }]);
  // Nothing is older than 1970.
  if (options.toDatetime !== undefined) {
    targets.push(["--to-datetime", { timestamp: Math.max(0, options.toDatetime) }]);
  }
  if (options.byDuration !== undefined) {
    targets.push(["--by-duration", { timestamp: Math.max(0, Date.now() - options.byDuration) }]);
  }
  const [target] = targets;
  if (target === undefined) {
    throw new UsageError(
      "Say where to: one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime and --by-duration.",
    );
  }
  if (targets.length > 1) {
    throw new UsageError(
      `Say where to only once: ${targets.map(([flag]) => flag).join(" and ")} exclude each other.`,
    );
  }
  return target[1];
}

/** undefined: all. */
function topicsOf({ topic = [], allTopics = false }: ResetOptions): TopicSelection[] | undefined {
  if (allTopics && topic.length > 0) throw new UsageError("--all-topics and --topic exclude each other.");
  if (!allTopics && topic.length === 0) {
    throw new UsageError("Give --topic, once or several times, or --all-topics.");
  }
  if (allTopics) return undefined;
  return topic.map((named) =>
    named.partitions === null ? named.topic : { topic: named.topic, partitions: named.partitions },
  );
}
