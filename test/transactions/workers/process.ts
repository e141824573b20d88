/** What workers and readers have in common. */

import { writeSync } from "node:fs";
import type { ReaderTarget, WorkerTarget } from "../clients.ts";

/** What a worker was started with, in the order of `workerArguments` in clients.ts. */
export function workerTarget(): WorkerTarget {
  const [bootstrap = "", protocol = "", input = "", output = "", outputPartitions, group = "", ...own] =
    process.argv.slice(3);
  const [transactionalId = "", seed] = own;
  return {
    bootstrap,
    protocol,
    input,
    output,
    outputPartitions: Number(outputPartitions),
    group,
    transactionalId,
    seed: Number(seed),
  };
}

/** What a reader was started with, in the order of `readerArguments` in clients.ts. */
export function readerTarget(): ReaderTarget {
  const [bootstrap = "", topic = "", partitions, isolation] = process.argv.slice(3);
  return {
    bootstrap,
    topic,
    partitions: Number(partitions),
    isolation: isolation === "read_committed" ? isolation : "read_uncommitted",
  };
}

/** As a reader says it. */
export function saySeen(partition: number, offset: number | string, value: string): void {
  writeSync(1, `${partition} ${offset} ${value}\n`);
}

export const TIMES = {
  sessionTimeoutMs: 6_000,
  heartbeatIntervalMs: 1_000,
  rebalanceTimeoutMs: 20_000,
  fetchWaitMs: 250,
  transactionTimeoutMs: 10_000,
} as const;

/** So many records in one transaction at most, of one partition. */
export const TRANSACTION_RECORDS_MAX = 50;
export const ABORT_PROBABILITY = 0.1;
