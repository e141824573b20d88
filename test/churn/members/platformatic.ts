/** A member of a group by @platformatic/kafka: the classic protocol (eager), or KIP-848. */

import { Consumer, type Message, stringDeserializers } from "@platformatic/kafka";
import { Commits } from "./commits.ts";
import { memberArguments, onStop, stdoutReport, TIMES } from "./process.ts";
import { runsOf } from "./runs.ts";

/** Processed and committed together. */
const RECORDS_MAX = 500;
const IDLE_MS = 250;

const { bootstrap, topic, group, protocol } = memberArguments();
const isClassic = protocol === "classic";
const report = stdoutReport();
const commits = new Commits();
const consumer = new Consumer({
  clientId: "churn",
  groupId: group,
  bootstrapBrokers: [bootstrap],
  deserializers: stringDeserializers,
  retries: 100,
  retryDelay: 200,
  maxWaitTime: TIMES.fetchWaitMs,
  ...(isClassic
    ? {
        sessionTimeout: TIMES.sessionTimeoutMs,
        rebalanceTimeout: TIMES.rebalanceTimeoutMs,
        heartbeatInterval: TIMES.heartbeatIntervalMs,
      }
    : { groupProtocol: "consumer" as const }),
});

if (isClassic) {
  consumer.on("consumer:group:rebalance", () => giveUp(report.owned));
  consumer.on("consumer:group:join", ({ assignments = [], generationId }) => {
    giveUp(report.owned);
    const assigned = assignments.find((assignment) => assignment.topic === topic);
    report.assigned(assigned?.partitions ?? [], generationId);
  });
} else {
  // There is no event for a change; a heartbeat that is about to be sent tells the coordinator of it.
  consumer.on("consumer:heartbeat:start", tellChange);
}

const stream = await consumer.consume({
  topics: [topic],
  mode: "committed",
  fallbackMode: "earliest",
  autocommit: false,
});
// Without a listener that stays, the stream would fetch no more.
let wake = Promise.withResolvers<void>();
stream.on("readable", () => wake.resolve());
stream.on("error", (error) => {
  report.note(`the stream has failed: ${error.message}`);
  process.exit(1);
});
onStop(() => consumer.close(true));

for (;;) {
  const messages = read();
  if (messages.length === 0) await readable();
  if (!isClassic) tellChange();
  processAll(messages);
  if (commits.due.length > 0) await commit(commits.due);
}

async function commit(due: readonly (readonly [number, number])[]): Promise<void> {
  const offsets = due.map(([partition, offset]) => ({
    topic,
    partition,
    offset: BigInt(offset),
    leaderEpoch: 0,
  }));
  try {
    await consumer.commit({ offsets });
  } catch (error) {
    report.note(`a commit has failed: ${String(error)}`);
    return;
  }
  report.committed(due);
  commits.committed(due.filter(([partition]) => report.ownershipOf(partition) !== undefined));
}

/** Resolves when there may be something to read, or something to commit again. */
async function readable(): Promise<void> {
  const timer = setTimeout(() => wake.resolve(), IDLE_MS);
  await wake.promise;
  clearTimeout(timer);
  wake = Promise.withResolvers();
}

function read(): Message<string, string>[] {
  const messages: Message<string, string>[] = [];
  while (messages.length < RECORDS_MAX) {
    const message = stream.read();
    if (message === null) break;
    messages.push(message);
  }
  return messages;
}

/** Nothing is committed of partitions that are another's by now, though records of them were still here. */
function processAll(messages: readonly Message<string, string>[]): void {
  for (const { partition, first, ownership, values } of runsOf(messages.map(received))) {
    report.processed(partition, first, values, ownership);
    if (ownership === report.ownershipOf(partition)) commits.processed(partition, first + values.length);
  }
}

function received({ partition, offset, value, metadata }: Message<string, string>) {
  const ownership = isClassic ? generationOf(metadata) : (report.ownershipOf(partition) ?? -1);
  return { partition, offset: Number(offset), value, ownership };
}

/** That under which it was fetched. */
function generationOf({ consumer: of }: Message["metadata"]): number {
  return typeof of === "object" && of !== null && "generationId" in of ? Number(of.generationId) : -1;
}

function tellChange(): void {
  const now = consumer.assignments?.find((assignment) => assignment.topic === topic)?.partitions ?? [];
  const before = report.owned;
  giveUp(before.filter((partition) => !now.includes(partition)));
  const added = now.filter((partition) => !before.includes(partition));
  if (added.length > 0) report.assigned(added);
}

function giveUp(partitions: readonly number[]): void {
  commits.gone(partitions);
  report.revoked(partitions);
}
