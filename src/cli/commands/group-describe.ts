import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { GroupDescription } from "../../client/groups/descriptions.ts";
import type { Groups } from "../../client/groups/groups.ts";
import { EdgelogError } from "../../model/errors.ts";
import { integerBetween } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { UsageError } from "../errors.ts";
import { type GroupTable, membersTable, offsetsTable, stateTable, summaryText } from "../group-tables.ts";
import { columns, note, print, printJson, printLine } from "../output.ts";
import { Screen } from "../screen.ts";
import { signalOfSignals } from "../signals.ts";

interface DescribeOptions extends ConnectionOptions {
  readonly offsets?: boolean;
  readonly members?: boolean;
  readonly state?: boolean;
  /** Seconds; true: given without a value. */
  readonly watch?: number | true;
}

const WATCH_SECONDS_DEFAULT = 2;
const WATCH_SECONDS_MAX = 3_600;

export function addGroupDescribe(group: Command): void {
  const command = group
    .command("describe")
    .description("print how far a group lags, who its members are, or its state")
    .argument("<group>")
    .option("--offsets", "committed offset, log end and lag of every partition (the default)")
    .option("--members", "the members and what is assigned to them")
    .option("--state", "the state, the assignor, how many members")
    .option(
      "-w, --watch [seconds]",
      `show it live: drawn again on a terminal, else a line each time (default: every ${WATCH_SECONDS_DEFAULT} s)`,
      integerBetween(1, WATCH_SECONDS_MAX),
    );
  withConnection(command).action(describe);
}

async function describe(id: string, options: DescribeOptions): Promise<void> {
  const table = tableOf(options);
  const { groups } = await connect(options);
  // Nobody looks at offsets here: the leaders need not be asked.
  const look = (signal?: AbortSignal) =>
    groups.describe(id, {
      ...(table !== offsetsTable && !options.json && { maxPartitions: 0 }),
      ...(signal !== undefined && { signal }),
    });
  if (options.watch !== undefined) return watch(look, table, options);
  const described = await look();
  if (options.json) return printJson(described);
  await printLine(columns(table(described)));
  if (described.members.length === 0 && table !== stateTable) note(`Group ${id} has no active members.`);
  if (described.isPartial)
    note(`These are the first ${described.partitions.length} partitions; there are more.`);
}

function tableOf({ offsets, members, state }: DescribeOptions): GroupTable {
  if ([offsets, members, state].filter((given) => given === true).length > 1) {
    throw new UsageError("Give one of --offsets, --members and --state.");
  }
  if (members) return membersTable;
  return state ? stateTable : offsetsTable;
}

type Look = (signal: AbortSignal) => ReturnType<Groups["describe"]>;

/** Until someone asks us to end. What fails retriably is told, and looked at again. */
async function watch(
  look: Look,
  table: GroupTable,
  { watch: seconds, json }: DescribeOptions,
): Promise<void> {
  const signal = signalOfSignals();
  const screen = process.stdout.isTTY === true && !json ? new Screen(process.stdout) : undefined;
  const pauseMs = (typeof seconds === "number" ? seconds : WATCH_SECONDS_DEFAULT) * 1_000;
  while (!signal.aborted) {
    try {
      const described = await look(signal);
      if (json) await printJson(described);
      else if (screen === undefined)
        await printLine(`${new Date().toISOString()}  ${summaryText(described)}`);
      else await print(screen.draw(picture(described, table, screen.room)));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof EdgelogError && error.retriable)) throw error;
      note(`${error.code}: ${error.message}`);
    }
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Where not all partitions fit, those that lag most. */
function picture(described: GroupDescription, table: GroupTable, room: number): string[] {
  const head = [`${new Date().toLocaleTimeString()}  ${summaryText(described)}`, ""];
  const whole = columns(table(described)).split("\n");
  if (head.length + whole.length <= room || table !== offsetsTable) return [...head, ...whole];
  const shown = Math.max(1, room - head.length - 2);
  const most = described.partitions
    .toSorted((a, b) => (b.lagRecords ?? -1) - (a.lagRecords ?? -1))
    .slice(0, shown);
  const left = described.partitions.length - most.length;
  return [
    ...head,
    ...columns(table({ ...described, partitions: most })).split("\n"),
    `… and ${left} more that lag less`,
  ];
}
