/**
 * A worker, or a reader, by kafkajs: the classic protocol, eager. It sends no group metadata with its offsets (KIP-447), so
 * what fences who was slow to notice a rebalance is the transactional id, one per partition of the input: whoever is
 * assigned a partition begins with its transactional id first, and only then looks where the group is.
 */

import kafkajs, { type Producer } from "kafkajs";
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

function connect(bootstrap: string) {
  return new kafkajs.Kafka({
    brokers: [bootstrap],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 20 },
  });
}

if (process.argv[2] === "read") await read();
else await work();

async function work(): Promise<void> {
  const { bootstrap, input, output, outputPartitions, group, transactionalId, seed } = workerTarget();
  const report = stdoutReport();
  const random = new Random(seed);
  const kafka = connect(bootstrap);
  const admin = kafka.admin();
  /** Of the partitions that have begun with their transactional id since they were assigned. */
  const producers = new Map<number, Producer>();
  const consumer = kafka.consumer({ groupId: group, ...groupTimes() });
  consumer.on(consumer.events.REBALANCING, () => report.revoked(report.owned));
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    report.lost(report.owned);
    for (const partition of producers.keys()) drop(partition);
    report.assigned(payload.memberAssignment[input] ?? []);
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    report.note(`crashed: ${payload.error.message}`);
    if (!payload.restart) process.exit(1);
  });
  await Promise.all([admin.connect(), consumer.connect()]);
  await consumer.subscribe({ topic: input, fromBeginning: true });
  process.once("SIGTERM", () => void consumer.disconnect().finally(() => process.exit(0)));
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch: { partition, messages }, resolveOffset, heartbeat, isStale, isRunning }) => {
      for (let from = 0; from < messages.length && isRunning() && !isStale(); ) {
        const count = random.integer(1, TRANSACTION_RECORDS_MAX);
        const chunk = messages.slice(from, from + count);
        const first = Number(chunk[0]?.offset);
        const next = first + chunk.length;
        try {
          if (!(await transact(partition, first, next))) return;
        } catch (error) {
          report.note(`failed: ${error instanceof Error ? error.message : error}`);
          drop(partition);
          return;
        }
        resolveOffset(String(next - 1));
        from += chunk.length;
        await heartbeat();
      }
    },
  });

  /** Whether the records from `first` to before `next` are processed and committed. */
  async function transact(partition: number, first: number, next: number): Promise<boolean> {
    const known = producers.get(partition);
    const producer = known ?? (await begin(partition));
    // It begins with its transactional id here, if it has not before.
    const transaction = await producer.transaction();
    if (known === undefined) {
      const committed = await committedOffset(partition);
      if (committed !== first) {
        await transaction.abort();
        consumer.seek({ topic: input, partition, offset: String(committed) });
        return false;
      }
    }
    const fate = random.chance(ABORT_PROBABILITY) ? "abort" : "commit";
    const messages = Array.from({ length: next - first }, (_, index) => ({
      partition: outputPartition(partition, first + index, outputPartitions),
      value: outputValue({ inputPartition: partition, inputOffset: first + index, fate }),
    }));
    await transaction.send({ topic: output, messages });
    if (fate === "commit" || random.chance(0.5)) {
      const topics = [{ topic: input, partitions: [{ partition, offset: String(next) }] }];
      await transaction.sendOffsets({ consumerGroupId: group, topics });
    }
    if (fate === "abort") {
      await transaction.abort();
      report.note(`aborted ${messages.length}`);
      // The client takes offsets for committed once they are sent.
      consumer.seek({ topic: input, partition, offset: String(first) });
      return false;
    }
    await transaction.commit();
    report.committed([[partition, next]]);
    return true;
  }

  async function begin(partition: number): Promise<Producer> {
    const producer = kafka.producer({
      transactionalId: `${transactionalId}-${partition}`,
      transactionTimeout: TIMES.transactionTimeoutMs,
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    producers.set(partition, producer);
    await producer.connect();
    return producer;
  }

  async function committedOffset(partition: number): Promise<number> {
    const [topic] = await admin.fetchOffsets({ groupId: group, topics: [input] });
    const offset = topic?.partitions.find((one) => one.partition === partition)?.offset;
    return Math.max(0, Number(offset ?? 0));
  }

  function drop(partition: number): void {
    const producer = producers.get(partition);
    producers.delete(partition);
    producer?.disconnect().catch(() => undefined);
  }
}

async function read(): Promise<void> {
  const { bootstrap, topic, partitions, isolation } = readerTarget();
  const consumer = connect(bootstrap).consumer({
    groupId: `${isolation}-of-${topic}`,
    readUncommitted: isolation === "read_uncommitted",
    ...groupTimes(),
  });
  const left = new Set(Array.from({ length: partitions }, (_, partition) => partition));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      const value = message.value?.toString() ?? "";
      if (value === END) left.delete(partition);
      else if (left.has(partition)) saySeen(partition, message.offset, value);
      if (left.size === 0) process.exit(0);
    },
  });
}

function groupTimes() {
  return {
    sessionTimeout: TIMES.sessionTimeoutMs,
    heartbeatInterval: TIMES.heartbeatIntervalMs,
    rebalanceTimeout: TIMES.rebalanceTimeoutMs,
    maxWaitTimeInMs: TIMES.fetchWaitMs,
  };
}
