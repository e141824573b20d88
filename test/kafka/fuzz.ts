/**
 * Fuzzes the Kafka port of a running cluster:
 *
 *     node test/kafka/fuzz.ts --frames 1000000 --seed 1 [--lanes 8] [--broker 127.0.0.1:9092]
 *
 * Without --broker it starts a cluster of its own, and tells every 50,000 frames how much memory its workerd has. With
 * TMPDIR in memory it is several times as fast.
 *
 * Half of the frames are requests of real clients (fixtures/) and random messages of every API, damaged; whatever comes of
 * them, the connection must go on or end, and not hang; a few clients are killed right after. The other half are Produce
 * requests to the lane's own topic, some damaged; an oracle that shares no code with the server says of each whether it is
 * valid. Valid ones must be acknowledged, all others must not, and in the end the log must hold exactly what was
 * acknowledged. All the while a well-behaved client produces and fetches on a connection of its own.
 */

import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { type HostAndPort, parseHostsAndPorts } from "../../src/kafka/brokers.ts";
import { writeMessage } from "../../src/kafka/codec.ts";
import { apiVersionsApi } from "../../src/kafka/messages/api-versions.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { deleteTopicsApi } from "../../src/kafka/messages/delete-topics.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { APIS } from "../../src/kafka/messages/index.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { WireWriter } from "../../src/kafka/wire-writer.ts";
import { buildBatch, sealed } from "../fuzz/batch-rules.ts";
import { Random } from "../fuzz/random.ts";
import { arbitraryMessage } from "./arbitrary-message.ts";
import { startKafkaPlatform } from "./kafka-platform.ts";
import { judgeProduce } from "./produce-oracle.ts";
import { RawClient } from "./raw-client.ts";

/** Below what the server itself gives a client that has gone silent; a busy machine takes seconds. */
const PATIENCE_MS = 45_000;
const PARTITIONS = 2;
const PROGRESS_FRAMES = 50_000;
const API_VERSIONS = { clientSoftwareName: "fuzz", clientSoftwareVersion: "1" };

export interface KafkaFuzzOptions {
  readonly broker: HostAndPort;
  readonly frames: number;
  readonly seed: number;
  readonly lanes?: number;
  /** Called every PROGRESS_FRAMES. */
  readonly progress?: (summary: KafkaFuzzSummary) => void;
}

export interface KafkaFuzzSummary {
  frames: number;
  /** Produce requests that were valid, and stored. */
  stored: number;
  /** Produce requests that were not, and refused. */
  refused: number;
  /** Connections that the server ended. */
  ended: number;
  /** The slowest answer that the well-behaved client got, in ms. */
  slowestMs: number;
}

/** @throws the first thing that is not as it must be, with seed and lane */
export async function fuzzKafka(options: KafkaFuzzOptions): Promise<KafkaFuzzSummary> {
  const { lanes = 8, frames, seed, broker, progress = () => {} } = options;
  const summary: KafkaFuzzSummary = { frames: 0, stored: 0, refused: 0, ended: 0, slowestMs: 0 };
  const corpus = [...recordedRequests(), ...randomRequests(seed)];
  const stop = new AbortController();
  const failed = (who: string) => async (cause: unknown) => {
    const what = cause instanceof Error ? cause.message : cause;
    // One connection that ends is another matter than a runtime that does.
    const broke = await RawClient.connect(broker).then(
      (client) => client.close(),
      () => "; nobody listens any more",
    );
    throw new Error(`seed ${seed}, ${who}: ${what}${broke ?? ""}`, { cause });
  };
  const bystander = watchBystander(broker, stop.signal, summary).catch(failed("the bystander"));
  const runs = Array.from({ length: lanes }, (_, lane) =>
    new Lane(broker, new Random(seed, lane), corpus, `fuzz-${seed}-${randomUUID()}`, summary, progress)
      .run(Math.ceil(frames / lanes))
      .catch(failed(`lane ${lane}`)),
  );
  try {
    await Promise.all([Promise.race([Promise.all(runs), bystander])]);
  } finally {
    stop.abort();
  }
  await bystander;
  return summary;
}

class Lane {
  readonly #broker: HostAndPort;
  readonly #random: Random;
  readonly #corpus: readonly Buffer[];
  readonly #topic: string;
  readonly #summary: KafkaFuzzSummary;
  readonly #progress: (summary: KafkaFuzzSummary) => void;
  /** What each partition of the topic must hold: whole batches as they were sent, without offset and epoch. */
  readonly #logs: Buffer[][] = Array.from({ length: PARTITIONS }, () => []);
  #client: RawClient | undefined;
  #value = 0;

  constructor(
    broker: HostAndPort,
    random: Random,
    corpus: readonly Buffer[],
    topic: string,
    summary: KafkaFuzzSummary,
    progress: (summary: KafkaFuzzSummary) => void,
  ) {
    this.#broker = broker;
    this.#random = random;
    this.#corpus = corpus;
    this.#topic = topic;
    this.#summary = summary;
    this.#progress = progress;
  }

  async run(frames: number): Promise<void> {
    await createTopic(await this.#connected(), this.#topic);
    for (let frame = 0; frame < frames; frame++) {
      if (this.#random.chance(0.5)) await this.#sendAnything();
      else await this.#sendProduce();
      this.#summary.frames++;
      if (this.#summary.frames % PROGRESS_FRAMES === 0) this.#progress(this.#summary);
    }
    await this.#checkLogs();
    await deleteTopic(await this.#connected(), this.#topic);
    this.#client?.close();
  }

  async #sendAnything(): Promise<void> {
    const frame = withLength(damaged(this.#random.pick(this.#corpus), this.#random, 0, 8));
    if (this.#random.chance(0.05)) frame.writeInt32BE(this.#random.int(-5, 2 ** 20), 0);
    const client = await this.#connected();
    client.sendBytes(frame);
    if (this.#random.chance(0.02)) {
      client.kill();
      this.#client = undefined;
      return;
    }
    // The connection lives if it answers this, whatever it has answered before.
    const sentinel = client.send(apiVersionsApi, 0, API_VERSIONS);
    client.end();
    this.#client = undefined;
    await within(
      client.closed(),
      () => `a frame left the connection hanging: ${frame.toString("hex").slice(0, 2_000)}`,
    );
    if (
      !client.frames().some((answer) => answer.length > 4 && Buffer.from(answer).readInt32BE(0) === sentinel)
    ) {
      this.#summary.ended++;
    }
  }

  async #sendProduce(): Promise<void> {
    const request = this.#produceRequest();
    const verdict = judgeProduce(request, this.#topic, PARTITIONS);
    const client = await this.#connected();
    client.sendBytes(withLength(request));
    const what = () => `${JSON.stringify(verdict)} ${request.toString("hex")}`;
    if (verdict.kind === "malformed") {
      this.#client = undefined;
      client.end();
      const answers = await within(client.closed(), what);
      if (answers > 0 && acknowledged(client.frames()[0])) throw new Error(`acknowledged: ${what()}`);
      this.#summary.refused++;
      return;
    }
    const errorCode = producedCode(await within(client.frame(), what));
    const isAsJudged = verdict.kind === "unreadable" || (errorCode === 0) === (verdict.kind === "valid");
    if (!isAsJudged) throw new Error(`error ${errorCode}: ${what()}`);
    if (verdict.kind !== "refused" && errorCode === 0) {
      // A copy: a view would keep the whole pool of buffers that it lies in.
      this.#logs[verdict.partition]?.push(Buffer.from(new Uint8Array(verdict.batch).buffer));
      this.#summary.stored++;
    } else this.#summary.refused++;
  }

  /** Version 7, acks all, to the lane's topic; damaged more often than not, in its header or with a true CRC. */
  #produceRequest(): Buffer {
    const random = this.#random;
    const value = Buffer.from(`${this.#value++}`);
    const record = { key: null, value, headers: [], timestamp: Date.now() };
    const codec = random.pick([0, 1, 4]);
    const fields = { attributes: codec, producerId: -1, producerEpoch: -1, baseSequence: -1 };
    let batch = buildBatch([record, record].slice(random.int(0, 1)), fields);
    if (random.chance(0.3)) batch = damaged(batch, random, 0, 2);
    // Only the header: what records look like inside is not the log's to check.
    if (random.chance(0.3)) batch = sealed(damaged(batch, random, 0, 2, 61));
    const name = Buffer.from(this.#topic);
    const head = Buffer.alloc(14);
    head.writeInt16BE(7, 2);
    head.writeInt32BE(1, 4);
    head.writeInt16BE(-1, 8);
    head.writeInt16BE(-1, 10);
    head.writeInt16BE(-1, 12);
    const tail = Buffer.alloc(16);
    tail.writeInt32BE(1, 4);
    tail.writeInt32BE(random.int(0, PARTITIONS), 8);
    tail.writeInt32BE(batch.length, 12);
    const topic = Buffer.concat([Buffer.of(0, 0, 0x75, 0x30, 0, 0, 0, 1, 0, name.length), name]);
    const request = Buffer.concat([head, topic, tail.subarray(4), batch]);
    // Not the API, its version and the correlation id: those would ask for something else.
    return random.chance(0.2) ? damaged(request, random, 8, 3, request.length - batch.length) : request;
  }

  async #connected(): Promise<RawClient> {
    if (this.#client?.isClosed === false) return this.#client;
    this.#client = await RawClient.connect(this.#broker);
    return this.#client;
  }

  async #checkLogs(): Promise<void> {
    for (const [partition, expected] of this.#logs.entries()) {
      const stored = await storedBatches(await this.#connected(), this.#topic, partition);
      if (stored.length !== expected.length) {
        throw new Error(`${this.#topic}-${partition} holds ${stored.length} batches, not ${expected.length}`);
      }
      for (const [index, batch] of expected.entries()) {
        if (stored[index] === undefined || !sameBatch(stored[index], batch)) {
          throw new Error(
            `batch ${index} of ${this.#topic}-${partition} is not the one that was acknowledged`,
          );
        }
      }
    }
  }
}

/** Changes, removes, inserts and copies bytes from `from` on, up to `to`. */
function damaged(bytes: Buffer, random: Random, from: number, most: number, to = bytes.length): Buffer {
  let result = Buffer.from(bytes);
  for (let count = random.int(0, most); count > 0; count--) {
    const end = Math.min(to, result.length);
    if (end <= from) return result;
    const at = random.int(from, end - 1);
    const kind = random.next();
    if (kind < 0.6) result[at] = random.int(0, 255);
    else if (kind < 0.75) result[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
    else if (kind < 0.85)
      result = Buffer.concat([result.subarray(0, at), result.subarray(at + random.int(1, 8))]);
    else if (kind < 0.95) {
      result = Buffer.concat([
        result.subarray(0, at),
        Buffer.alloc(random.int(1, 8), random.int(0, 255)),
        result.subarray(at),
      ]);
    } else result = result.subarray(0, at);
  }
  return result;
}

function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function recordedRequests(): Buffer[] {
  const directory = fileURLToPath(new URL("./fixtures/", import.meta.url).href);
  return readdirSync(directory)
    .filter((file) => file.endsWith(".txt"))
    .flatMap((file) => readFileSync(join(directory, file), "utf8").trim().split("\n"))
    .map((line) => Buffer.from(line.split(" ")[2] ?? "", "hex"));
}

/** A few of every API in every version. */
function randomRequests(seed: number): Buffer[] {
  return [...APIS.values()].flatMap(({ key, request, versions, flexibleFrom }) =>
    Array.from({ length: versions.last - versions.first + 1 }, (_, index) => versions.first + index).flatMap(
      (version) =>
        fc.sample(arbitraryMessage(request, version), { seed, numRuns: 5 }).map((message) => {
          const writer = new WireWriter();
          writer.int16(key);
          writer.int16(version);
          writer.int32(7);
          writer.int16(-1);
          if (version >= flexibleFrom) writer.uvarint(0);
          writeMessage(request, version, writer, message);
          return Buffer.concat(writer.finish());
        }),
    ),
  );
}

async function createTopic(client: RawClient, name: string): Promise<void> {
  const topic = { name, numPartitions: PARTITIONS, replicationFactor: -1, assignments: [], configs: [] };
  const { topics } = await client.ask(createTopicsApi, 4, { topics: [topic] });
  if (topics[0]?.errorCode !== 0) throw new Error(`${name} could not be created: ${topics[0]?.errorMessage}`);
}

/** So that what a cluster holds does not grow from run to run. */
async function deleteTopic(client: RawClient, name: string): Promise<void> {
  await client.ask(deleteTopicsApi, 4, { topicNames: [name], timeoutMs: 1_000 });
}

/** The error code of the only partition in an answer to Produce version 7. */
function producedCode(answer: Uint8Array): number {
  const bytes = Buffer.from(answer);
  const nameLength = bytes.readInt16BE(8);
  return bytes.readInt16BE(10 + nameLength + 4 + 4);
}

function acknowledged(answer: Uint8Array | undefined): boolean {
  try {
    return answer !== undefined && producedCode(answer) === 0;
  } catch {
    return false;
  }
}

async function storedBatches(client: RawClient, topic: string, partition: number): Promise<Buffer[]> {
  const batches: Buffer[] = [];
  for (let fetchOffset = 0; ; ) {
    const { responses } = await client.ask(fetchApi, 11, {
      maxWaitMs: 0,
      minBytes: 0,
      topics: [
        { topic, topicId: "", partitions: [{ partition, fetchOffset, partitionMaxBytes: 1_000_000 }] },
      ],
    });
    const records = Buffer.from(responses[0]?.partitions[0]?.records ?? []);
    if (records.length === 0) return batches;
    for (let at = 0; at < records.length; ) {
      const end = at + 12 + records.readInt32BE(at + 8);
      const batch = records.subarray(at, end);
      if (Number(batch.readBigInt64BE(0)) !== fetchOffset) throw new Error(`a hole before ${fetchOffset}`);
      fetchOffset += batch.readInt32BE(23) + 1;
      batches.push(batch);
      at = end;
    }
  }
}

/** But for offset and leader epoch, which are the log's. */
function sameBatch(one: Buffer, other: Buffer): boolean {
  return one.subarray(8, 12).equals(other.subarray(8, 12)) && one.subarray(16).equals(other.subarray(16));
}

/** A client that does nothing wrong, and must not notice the others. */
async function watchBystander(
  broker: HostAndPort,
  signal: AbortSignal,
  summary: KafkaFuzzSummary,
): Promise<void> {
  const client = await RawClient.connect(broker);
  const topic = `bystander-${Date.now()}`;
  await createTopic(client, topic);
  const record = { key: null, value: Buffer.from("undisturbed"), headers: [], timestamp: Date.now() };
  const fields = { attributes: 0, producerId: -1, producerEpoch: -1, baseSequence: -1 };
  const records = buildBatch([record], fields);
  for (let offset = 0; !signal.aborted; offset++) {
    const startMs = performance.now();
    const topicData = [{ name: topic, topicId: "", partitionData: [{ index: 0, records }] }];
    const { responses } = await within(
      client.ask(produceApi, 7, { acks: -1, timeoutMs: 1_000, topicData }),
      () => "the bystander's produce hangs",
    );
    const { errorCode, baseOffset } = responses[0]?.partitionResponses[0] ?? {};
    if (errorCode !== 0 || baseOffset !== offset)
      throw new Error(`the bystander got ${errorCode} at ${baseOffset}`);
    summary.slowestMs = Math.max(summary.slowestMs, performance.now() - startMs);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await deleteTopic(client, topic);
  client.close();
}

function within<T>(answer: Promise<T>, what: () => string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no answer within ${PATIENCE_MS} ms: ${what()}`)),
    PATIENCE_MS,
  );
  return Promise.race([answer, late.promise]).finally(() => clearTimeout(timer));
}

/** Resident, in MiB. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      frames: { type: "string", default: "10000" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      broker: { type: "string" },
      lanes: { type: "string", default: "8" },
    },
  });
  const { frames, seed, lanes } = values;
  const own = values.broker === undefined ? await startKafkaPlatform() : undefined;
  const [broker] = own?.brokers ?? parseHostsAndPorts(values.broker ?? "");
  if (broker === undefined) throw new Error("--broker is host:port");
  const startMs = performance.now();
  const tell = (summary: KafkaFuzzSummary) => {
    const seconds = Math.round((performance.now() - startMs) / 1_000);
    const memory = own === undefined ? {} : { workerdMiB: memoryOf(own.workerdPid) };
    console.log(JSON.stringify({ seed, ...summary, seconds, ...memory }));
  };
  console.log(JSON.stringify({ seed, frames, lanes }));
  try {
    tell(
      await fuzzKafka({
        broker,
        frames: Number(frames),
        seed: Number(seed),
        lanes: Number(lanes),
        progress: tell,
      }),
    );
  } finally {
    await own?.stop();
  }
}
