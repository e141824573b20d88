/** A worker, or a reader, by librdkafka, with the member that it is of its group sent with its offsets (KIP-447). */

import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { stdoutReport } from "../../churn/members/process.ts";
import { Random } from "../../crash/random.ts";
import { END, outputPartition, outputValue } from "../output.ts";
import {
  ABORT_PROBABILITY,
  readerTarget,
  saySeen,
  TIMES,
  TRANSACTION_RECORDS_MAX,
  workerTarget,
} from "./process.ts";

interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset?: number;
}

interface RdKafkaMessage extends TopicPartition {
  readonly offset: number;
  readonly value: Buffer | null;
}

interface RdKafkaError extends Error {
  readonly code: number;
  readonly isFatal?: boolean;
  readonly isRetriable?: boolean;
}

type Done<T = void> = (error: RdKafkaError | null | undefined, value: T) => void;

/** Of @confluentinc/kafka-javascript, which is not installed with Edgelog: what is used here. */
interface RdKafkaConsumer {
  connect(options: object, done: Done<unknown>): void;
  subscribe(topics: readonly string[]): void;
  setDefaultConsumeTimeout(ms: number): void;
  consume(count: number, done: Done<readonly RdKafkaMessage[]>): void;
  committed(partitions: readonly TopicPartition[], ms: number, done: Done<readonly TopicPartition[]>): void;
  seek(partition: TopicPartition, ms: number, done: Done): void;
  assign(partitions: readonly TopicPartition[]): void;
  unassign(): void;
  incrementalAssign(partitions: readonly TopicPartition[]): void;
  incrementalUnassign(partitions: readonly TopicPartition[]): void;
  assignmentLost(): boolean;
  rebalanceProtocol(): string;
  disconnect(done: () => void): void;
}

interface RdKafkaProducer {
  connect(options: object, done: Done<unknown>): void;
  setPollInterval(ms: number): void;
  initTransactions(ms: number, done: Done): void;
  beginTransaction(done: Done): void;
  produce(topic: string, partition: number, value: Buffer): unknown;
  flush(ms: number, done: Done): void;
  sendOffsetsToTransaction(
    offsets: readonly TopicPartition[],
    consumer: RdKafkaConsumer,
    ms: number,
    done: Done,
  ): void;
  commitTransaction(ms: number, done: Done): void;
  abortTransaction(ms: number, done: Done): void;
}

interface RdKafka {
  readonly KafkaConsumer: new (config: object, topicConfig: object) => RdKafkaConsumer;
  readonly Producer: new (config: object, topicConfig: object) => RdKafkaProducer;
}

const ASSIGN_PARTITIONS = -175;
const CONSUME_MS = 100;
const CALL_MS = 10_000;
const AGAIN_MS = 200;

const library: RdKafka = createRequire(import.meta.url)(process.env.EDGELOG_CHURN_LIBRDKAFKA ?? "");

if (process.argv[2] === "read") await read();
else await work();

async function work(): Promise<void> {
  const target = workerTarget();
  const { bootstrap, protocol, input, output, outputPartitions, group, transactionalId, seed } = target;
  const report = stdoutReport();
  const random = new Random(seed);
  /** Where the next record of a partition is: the binding also delivers what was fetched before a rebalance. */
  const positions = new Map<number, number>();
  /** The transaction under way: partitions are given up only when it has ended, and the member's epoch stays till then. */
  let transaction: Promise<void> = Promise.resolve();

  const producer = new library.Producer(
    {
      "bootstrap.servers": bootstrap,
      "transactional.id": transactionalId,
      "transaction.timeout.ms": TIMES.transactionTimeoutMs,
      "reconnect.backoff.max.ms": 1_000,
    },
    {},
  );
  await call<unknown>((done) => producer.connect({}, done));
  producer.setPollInterval(20);
  await againWhileRetriable((done) => producer.initTransactions(CALL_MS, done));

  const classic = {
    "session.timeout.ms": TIMES.sessionTimeoutMs,
    "heartbeat.interval.ms": TIMES.heartbeatIntervalMs,
    "partition.assignment.strategy": protocol === "cooperative" ? "cooperative-sticky" : "range,roundrobin",
  };
  const consumer = new library.KafkaConsumer(
    {
      "bootstrap.servers": bootstrap,
      "group.id": group,
      "enable.auto.commit": false,
      "isolation.level": "read_committed",
      "fetch.wait.max.ms": TIMES.fetchWaitMs,
      "max.poll.interval.ms": TIMES.rebalanceTimeoutMs,
      "topic.metadata.refresh.interval.ms": 5_000,
      "reconnect.backoff.max.ms": 1_000,
      rebalance_cb: (error: { readonly code: number }, partitions: readonly TopicPartition[]) => {
        void transaction.then(() => onRebalance(error.code === ASSIGN_PARTITIONS, partitions));
      },
      ...(protocol === "consumer" ? { "group.protocol": "consumer" } : classic),
    },
    { "auto.offset.reset": "earliest" },
  );
  await call<unknown>((done) => consumer.connect({}, done));
  consumer.setDefaultConsumeTimeout(CONSUME_MS);
  consumer.subscribe([input]);
  process.once("SIGTERM", () => {
    void transaction.then(() => consumer.disconnect(() => process.exit(0)));
  });
  for (;;) {
    const messages = await call<readonly RdKafkaMessage[]>((done) =>
      consumer.consume(random.integer(1, 2 * TRANSACTION_RECORDS_MAX), done),
    ).catch(() => []);
    const own = await inPlace(messages);
    if (own.length === 0) continue;
    transaction = transact(own);
    await transaction;
  }

  function onRebalance(isAssigned: boolean, partitions: readonly TopicPartition[]): void {
    const numbers = partitions.map(({ partition }) => partition);
    const isCooperative = consumer.rebalanceProtocol() === "COOPERATIVE";
    for (const partition of numbers) positions.delete(partition);
    if (isAssigned) {
      report.assigned(numbers);
      if (isCooperative) consumer.incrementalAssign(partitions);
      else consumer.assign(partitions);
      return;
    }
    if (consumer.assignmentLost()) report.lost(numbers);
    else report.revoked(numbers);
    if (isCooperative) consumer.incrementalUnassign(partitions);
    else consumer.unassign();
  }

  /** Those of partitions that it has, from where the group is on without a gap. */
  async function inPlace(messages: readonly RdKafkaMessage[]): Promise<RdKafkaMessage[]> {
    const unknown = new Set<number>();
    for (const { partition } of messages) if (!positions.has(partition)) unknown.add(partition);
    if (unknown.size > 0) await findPositions([...unknown]);
    const next = new Map(positions);
    const ahead = new Set<number>();
    // From here on to the beginning of the transaction nothing else can happen.
    const own = messages.filter(({ partition, offset }) => {
      const position = next.get(partition);
      if (report.ownershipOf(partition) === undefined || position === undefined) return false;
      if (offset > position) ahead.add(partition);
      if (offset !== position) return false;
      next.set(partition, offset + 1);
      return true;
    });
    for (const partition of ahead) goTo(partition, next.get(partition) ?? 0);
    return own;
  }

  async function findPositions(partitions: readonly number[]): Promise<void> {
    const asked = partitions
      .filter((partition) => report.ownershipOf(partition) !== undefined)
      .map((partition) => ({ partition, ownership: report.ownershipOf(partition) }));
    if (asked.length === 0) return;
    try {
      const found = await call<readonly TopicPartition[]>((done) =>
        consumer.committed(
          asked.map(({ partition }) => ({ topic: input, partition })),
          CALL_MS,
          done,
        ),
      );
      for (const { partition, offset } of found) {
        const ownership = asked.find((one) => one.partition === partition)?.ownership;
        if (report.ownershipOf(partition) === ownership) positions.set(partition, Math.max(0, offset ?? 0));
      }
    } catch (error) {
      report.note(`failed: committed: ${textOf(error)}`);
      // What it has of them is dropped, and will be delivered again.
      for (const { partition } of asked) goTo(partition, 0);
    }
  }

  async function transact(messages: readonly RdKafkaMessage[]): Promise<void> {
    const offsets = new Map<number, number>();
    const first = new Map<number, number>();
    for (const { partition, offset } of messages) {
      if (!first.has(partition)) first.set(partition, offset);
      offsets.set(partition, offset + 1);
    }
    const fate = random.chance(ABORT_PROBABILITY) ? "abort" : "commit";
    try {
      await call((done) => producer.beginTransaction(done));
      for (const { partition, offset } of messages) {
        const value = outputValue({ inputPartition: partition, inputOffset: offset, fate });
        producer.produce(output, outputPartition(partition, offset, outputPartitions), Buffer.from(value));
      }
      const due = [...offsets].map(([partition, offset]) => ({ topic: input, partition, offset }));
      if (fate === "commit" || random.chance(0.5)) {
        await againWhileRetriable((done) => producer.sendOffsetsToTransaction(due, consumer, CALL_MS, done));
      }
      if (fate === "abort") {
        await call((done) => producer.flush(CALL_MS, done));
        await againWhileRetriable((done) => producer.abortTransaction(CALL_MS, done));
        report.note(`aborted ${messages.length}`);
        for (const [partition, offset] of first) goTo(partition, offset);
        return;
      }
      await againWhileRetriable((done) => producer.commitTransaction(CALL_MS, done));
      for (const [partition, offset] of offsets) positions.set(partition, offset);
      report.committed([...offsets]);
    } catch (error) {
      report.note(`failed: ${textOf(error)}`);
      if (isFatal(error)) process.exit(1);
      await againWhileRetriable((done) => producer.abortTransaction(CALL_MS, done)).catch((again) => {
        report.note(`ended: ${textOf(again)}`);
        process.exit(1);
      });
      for (const partition of offsets.keys()) positions.delete(partition);
      await findPositions([...offsets.keys()]);
      for (const partition of offsets.keys()) goTo(partition, positions.get(partition) ?? 0);
    }
  }

  function goTo(partition: number, offset: number): void {
    consumer.seek({ topic: input, partition, offset }, 0, () => undefined);
  }
}

async function read(): Promise<void> {
  const { bootstrap, topic, partitions, isolation } = readerTarget();
  const consumer = new library.KafkaConsumer(
    {
      "bootstrap.servers": bootstrap,
      "group.id": `${isolation}-of-${topic}`,
      "enable.auto.commit": false,
      "isolation.level": isolation,
    },
    { "auto.offset.reset": "earliest" },
  );
  await call<unknown>((done) => consumer.connect({}, done));
  consumer.setDefaultConsumeTimeout(CONSUME_MS);
  const left = new Set(Array.from({ length: partitions }, (_, partition) => partition));
  consumer.assign([...left].map((partition) => ({ topic, partition, offset: 0 })));
  while (left.size > 0) {
    for (const message of await call<readonly RdKafkaMessage[]>((done) => consumer.consume(500, done))) {
      const value = message.value?.toString() ?? "";
      if (value === END) left.delete(message.partition);
      else if (left.has(message.partition)) saySeen(message.partition, message.offset, value);
    }
  }
  process.exit(0);
}

function call<T = void>(begin: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, value) => (error === null || error === undefined ? resolve(value) : reject(error)));
  });
}

async function againWhileRetriable(begin: (done: Done) => void): Promise<void> {
  for (;;) {
    try {
      return await call(begin);
    } catch (error) {
      if (!(typeof error === "object" && error !== null && "isRetriable" in error && error.isRetriable))
        throw error;
      await delay(AGAIN_MS);
    }
  }
}

function isFatal(error: unknown): boolean {
  return typeof error === "object" && error !== null && "isFatal" in error && error.isFatal === true;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
