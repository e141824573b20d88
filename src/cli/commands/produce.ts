import { fstatSync } from "node:fs";
import { type Command, Option } from "commander";
import type { ProducerRecord, RecordMetadata } from "../../client/record.ts";
import { BATCH_BYTES_MAX, PARTITIONS_PER_TOPIC_MAX } from "../../model/limits.ts";
import { assignment, collect, integerBetween, unescapeText } from "../arguments.ts";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { UsageError } from "../errors.ts";
import { lines } from "../lines.ts";
import { note, printJson } from "../output.ts";
import { startProgress } from "../progress.ts";
import { signalOfSignals } from "../signals.ts";

/** Records sent and not yet acknowledged; the producer bounds their bytes. */
const UNACKNOWLEDGED_MAX = 20_000;

interface ProduceOptions extends ConnectionOptions {
  readonly keyDelimiter?: string;
  readonly key?: string;
  readonly header?: readonly (readonly [string, string])[];
  readonly partition?: number;
  readonly compression?: "gzip" | "none" | "zstd";
  readonly nullWhenEmpty?: boolean;
}

export function addProduce(program: Command): void {
  const command = program
    .command("produce")
    .description("send the lines of stdin as records")
    .argument("<topic>")
    .option("-K, --key-delimiter <text>", "each line is <key><delimiter><value>; \\t is a tab", unescapeText)
    .option("-k, --key <key>", "the key of every record")
    .option("-H, --header <name=value>", "a header of every record, may be repeated", collect(assignment))
    .option(
      "-p, --partition <n>",
      "the partition (default: by the key)",
      integerBetween(0, PARTITIONS_PER_TOPIC_MAX - 1),
    )
    .addOption(
      new Option("-z, --compression <codec>", "how batches are compressed").choices(["none", "gzip", "zstd"]),
    )
    .option("-Z, --null-when-empty", "an empty value is a tombstone (null)");
  withConnection(command).action(produce);
}

async function produce(topic: string, options: ProduceOptions): Promise<void> {
  if (options.key !== undefined && options.keyDelimiter !== undefined) {
    throw new UsageError(
      "Give either --key or --key-delimiter: the key is the same for all, or in each line",
    );
  }
  if (options.keyDelimiter === "") throw new UsageError("--key-delimiter must not be empty");
  const { compression = "none" } = options;
  const client = await connect(options);
  // How large a record may be is for the topic to say (max.message.bytes).
  const producer = client.producer({ topic, compression, maxRequestSize: BATCH_BYTES_MAX });
  const input = openStdin();
  const progress = startProgress("Producing", "records", input.showsProgress);
  const acknowledged = new Acknowledgements(options.json === true, input.end);
  try {
    for await (const line of lines(input.chunks, BATCH_BYTES_MAX)) {
      await acknowledged.add(producer.send(toRecord(line, options)));
      progress.update(acknowledged.sent, input.share());
    }
    await producer.flush();
    await acknowledged.all();
  } finally {
    progress.stop();
    await producer.close({ signal: AbortSignal.abort() });
  }
  if (!options.json)
    note(`${acknowledged.sent} record${acknowledged.sent === 1 ? "" : "s"} sent to ${topic}.`);
}

/** Awaits the records in the order they were sent, and stops at the first that failed. */
class Acknowledgements {
  sent = 0;
  readonly #printed: boolean;
  readonly #onFailure: () => void;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(printed: boolean, onFailure: () => void) {
    this.#printed = printed;
    this.#onFailure = onFailure;
  }

  /** Resolves when there is room for another. Rejects when an earlier record failed. */
  async add(record: Promise<RecordMetadata>): Promise<void> {
    this.sent += 1;
    this.#waiting += 1;
    record.catch(() => undefined);
    this.#last = this.#last.then(() => this.#acknowledge(record));
    this.#last.catch(this.#onFailure);
    if (this.#waiting >= UNACKNOWLEDGED_MAX) await this.#last;
  }

  all(): Promise<void> {
    return this.#last;
  }

  async #acknowledge(record: Promise<RecordMetadata>): Promise<void> {
    const metadata = await record;
    this.#waiting -= 1;
    if (this.#printed) await printJson(metadata);
  }
}

interface Input {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly showsProgress: boolean;
  /** Reads no more. */
  end(): void;
  /** How much of a file has been read; undefined where the end is not known. */
  share(): number | undefined;
}

/** stdin, until it ends or someone asks us to. */
function openStdin(): Input {
  const { stdin } = process;
  if (stdin.isTTY) note("Type records, one a line; Ctrl-D ends.");
  const end = (): void => {
    stdin.destroy();
  };
  signalOfSignals().addEventListener("abort", end);
  const stat = fstatSync(0);
  let read = 0;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of stdin) {
        read += chunk.length;
        yield chunk;
      }
    } catch (error) {
      // destroy() ends the iteration so.
      if (!isPrematureClose(error)) throw error;
    }
  }
  return {
    chunks: chunks(),
    end,
    showsProgress: process.stderr.isTTY === true && stdin.isTTY !== true,
    share: () => (stat.isFile() && stat.size > 0 ? Math.min(1, read / stat.size) : undefined),
  };
}

function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_STREAM_PREMATURE_CLOSE";
}

function toRecord(line: Buffer, options: ProduceOptions): ProducerRecord {
  const { key, value } = splitKey(line, options);
  return {
    key,
    value: value.length === 0 && options.nullWhenEmpty ? null : value,
    headers: (options.header ?? []).map(([name, text]) => ({ key: name, value: text })),
    ...(options.partition === undefined ? {} : { partition: options.partition }),
  };
}

/** As kcat does it: a line without the delimiter is a value without a key. */
function splitKey(line: Buffer, options: ProduceOptions): { key: Buffer | string | null; value: Buffer } {
  const { key = null, keyDelimiter } = options;
  if (keyDelimiter === undefined) return { key, value: line };
  const at = line.indexOf(keyDelimiter);
  if (at === -1) return { key: null, value: line };
  return { key: line.subarray(0, at), value: line.subarray(at + Buffer.byteLength(keyDelimiter)) };
}
