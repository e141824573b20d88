import { type Command, Option } from "commander";
import type { ConsumeFrom } from "../../client/consumer/options.ts";
import type { Edgelog } from "../../client/edgelog.ts";
import type { ConsumedRecord } from "../../client/record.ts";
import { ISOLATIONS, type Isolation } from "../../model/isolation.ts";
import { PARTITIONS_PER_TOPIC_MAX } from "../../model/limits.ts";
import { recordToJsonText } from "../../subscribe/record-json.ts";
import { collect, integerBetween } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { CliError } from "../errors.ts";
import { note, OutputBuffer } from "../output.ts";
import { startProgress } from "../progress.ts";
import { type RecordPrinter, recordFormat } from "../record-format.ts";
import { signalOfSignals } from "../signals.ts";
import { type StartPosition, startPosition } from "../start-position.ts";

interface ConsumeCommandOptions extends ConnectionOptions {
  readonly offset: StartPosition;
  readonly partition?: readonly number[];
  readonly exit?: boolean;
  readonly count?: number;
  readonly format: string;
  readonly isolationLevel: Isolation;
}

export function addConsume(program: Command): void {
  const command = program
    .command("consume")
    .description("print a topic's records, and then those that come")
    .argument("<topic>")
    .addOption(
      new Option("-o, --offset <where>", "where to begin: beginning, end, <n>, -<n> (from the end) or s@<ms>")
        .default({ at: "beginning" }, "beginning")
        .argParser(startPosition),
    )
    .option("-e, --exit", "stop at the end instead of waiting for more")
    .option("-c, --count <n>", "stop after so many records", integerBetween(1, Number.MAX_SAFE_INTEGER))
    .addOption(
      new Option("-p, --partition <n>", "only this partition, may be repeated (default: all)").argParser(
        collect(integerBetween(0, PARTITIONS_PER_TOPIC_MAX - 1)),
      ),
    )
    .option(
      "-f, --format <format>",
      "kcat's format: %s value, %k key, %h headers, %t %p %o %T, %S %K %R",
      "%s\\n",
    );
  command.addOption(
    new Option("--isolation-level <level>", "whether to print records of open and aborted transactions")
      .choices(ISOLATIONS)
      .default("read_uncommitted" satisfies Isolation),
  );
  withConnection(command).action(consume);
}

async function consume(topic: string, options: ConsumeCommandOptions): Promise<void> {
  const { count = Number.POSITIVE_INFINITY, exit = false, isolationLevel } = options;
  const toBytes = options.json ? jsonLine : recordFormat(options.format);
  const client = await connect(options);
  const records = client.consume(topic, {
    from: await consumeFrom(client, topic, options),
    follow: !exit,
    isolationLevel,
    onDisconnect: ({ message }) => note(`Reconnecting: ${message}`),
    ...(options.partition === undefined ? {} : { partitions: options.partition }),
  });
  signalOfSignals().addEventListener("abort", () => void records.close());
  await printRecords(records, toBytes, count);
}

async function printRecords(
  records: AsyncIterable<ConsumedRecord>,
  toBytes: RecordPrinter,
  count: number,
): Promise<void> {
  const output = new OutputBuffer();
  const progress = startProgress(
    "Consuming",
    "records",
    process.stderr.isTTY === true && !process.stdout.isTTY,
  );
  let printed = 0;
  try {
    for await (const record of records) {
      await output.write(toBytes(record));
      printed += 1;
      progress.update(printed);
      if (printed >= count) break;
    }
    await output.flush();
  } finally {
    progress.stop();
  }
}

function jsonLine(record: ConsumedRecord): Uint8Array {
  const position = `{"topic":${JSON.stringify(record.topic)},"partition":${record.partition},`;
  return Buffer.from(`${position}${recordToJsonText(record).slice(1)}\n`);
}

async function consumeFrom(
  client: Edgelog,
  topic: string,
  { offset: start, partition, isolationLevel }: ConsumeCommandOptions,
): Promise<ConsumeFrom> {
  if ("at" in start) return start.at === "beginning" ? "earliest" : "latest";
  if ("timestampMs" in start) return { timestamp: start.timestampMs };
  const which = partition === undefined ? {} : { partitions: partition };
  const ends = await client.topics.offsets(topic, { ...which, timestamp: "latest", isolationLevel });
  const begins = await client.topics.offsets(topic, { ...which, timestamp: "earliest" });
  const logStart = new Map(begins.map((begin) => [begin.partition, begin.offset]));
  return {
    offsets: new Map(
      ends.map((end) => {
        const begin = logStart.get(end.partition) ?? 0;
        if (!("offset" in start)) return [end.partition, Math.max(begin, end.offset - start.last)];
        if (start.offset < begin || start.offset > end.offset) throw outside(start.offset, topic, begin, end);
        return [end.partition, start.offset];
      }),
    ),
  };
}

/** Said before the subscription, which would only see it when it connects; with --exit, past the end, never. */
function outside(
  offset: number,
  topic: string,
  begin: number,
  end: { readonly partition: number; readonly offset: number },
): CliError {
  return new CliError(
    `Offset ${offset} lies outside partition ${end.partition} of ${topic}, whose log starts at ${begin} and ends at ${end.offset}.\n` +
      "Give one in between; -o beginning, -<n> or s@<ms> suit every partition, -p names one.",
  );
}
