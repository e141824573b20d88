/** A member of a group by librdkafka: the classic protocol, eager or cooperative, or KIP-848. */

import { createRequire } from "node:module";
import { Commits } from "./commits.ts";
import { memberArguments, onStop, stdoutReport, TIMES } from "./process.ts";
import { runsOf } from "./runs.ts";

interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset?: number;
}

interface RdKafkaMessage extends TopicPartition {
  readonly offset: number;
  readonly value: Buffer | null;
}

/** Of @confluentinc/kafka-javascript, which is not installed with Edgelog: what is used here. */
interface RdKafkaConsumer {
  connect(options: object, done: (error: Error | null) => void): void;
  subscribe(topics: readonly string[]): void;
  setDefaultConsumeTimeout(ms: number): void;
  consume(count: number, done: (error: Error | null, messages: readonly RdKafkaMessage[]) => void): void;
  commit(offsets: readonly TopicPartition[]): void;
  assign(partitions: readonly TopicPartition[]): void;
  unassign(): void;
  incrementalAssign(partitions: readonly TopicPartition[]): void;
  incrementalUnassign(partitions: readonly TopicPartition[]): void;
  assignmentLost(): boolean;
  rebalanceProtocol(): string;
  disconnect(done: () => void): void;
}

interface RdKafka {
  readonly KafkaConsumer: new (config: object, topicConfig: object) => RdKafkaConsumer;
}

const ASSIGN_PARTITIONS = -175;
const RECORDS_MAX = 500;
const CONSUME_MS = 100;

const { bootstrap, topic, group, protocol } = memberArguments();
const library: RdKafka = createRequire(import.meta.url)(process.env.EDGELOG_CHURN_LIBRDKAFKA ?? "");
const report = stdoutReport();
const commits = new Commits();
let isCommitting = false;

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
    "fetch.wait.max.ms": TIMES.fetchWaitMs,
    "max.poll.interval.ms": TIMES.rebalanceTimeoutMs,
    "topic.metadata.refresh.interval.ms": 5_000,
    "reconnect.backoff.max.ms": 1_000,
    rebalance_cb: onRebalance,
    offset_commit_cb: onCommit,
    ...(protocol === "consumer" ? { "group.protocol": "consumer" } : classic),
  },
  { "auto.offset.reset": "earliest" },
);

function onRebalance(error: { readonly code: number }, partitions: readonly TopicPartition[]): void {
  const numbers = partitions.map(({ partition }) => partition);
  const isCooperative = consumer.rebalanceProtocol() === "COOPERATIVE";
  if (error.code === ASSIGN_PARTITIONS) {
    report.assigned(numbers);
    if (isCooperative) consumer.incrementalAssign(partitions);
    else consumer.assign(partitions);
    return;
  }
  commits.gone(numbers);
  if (consumer.assignmentLost()) report.lost(numbers);
  else report.revoked(numbers);
  if (isCooperative) consumer.incrementalUnassign(partitions);
  else consumer.unassign();
}

await new Promise<void>((resolve, reject) => {
  consumer.connect({}, (error) => (error === null || error === undefined ? resolve() : reject(error)));
});
consumer.setDefaultConsumeTimeout(CONSUME_MS);
consumer.subscribe([topic]);
onStop(() => new Promise<void>((resolve) => consumer.disconnect(() => resolve())));

for (;;) {
  const messages = await consume();
  // What was on its way when its partition was given up is not processed: its next owner gets it.
  const own = messages.flatMap(({ partition, offset, value }) => {
    const ownership = report.ownershipOf(partition);
    return ownership === undefined ? [] : [{ partition, offset, value: value?.toString() ?? "", ownership }];
  });
  for (const { partition, first, ownership, values } of runsOf(own)) {
    report.processed(partition, first, values, ownership);
    commits.processed(partition, first + values.length);
  }
  if (commits.due.length > 0 && !isCommitting) commit(commits.due);
}

function consume(): Promise<readonly RdKafkaMessage[]> {
  return new Promise((resolve) => {
    consumer.consume(RECORDS_MAX, (error, messages) => {
      if (error) report.note(`consume: ${error.message}`);
      resolve(error ? [] : messages);
    });
  });
}

/** {@link onCommit} is called when it is done; the callbacks of the library's own commit functions are called before. */
function commit(due: readonly (readonly [number, number])[]): void {
  isCommitting = true;
  consumer.commit(due.map(([partition, offset]) => ({ topic, partition, offset })));
}

function onCommit(error: { readonly code?: number } | undefined, offsets: readonly TopicPartition[]): void {
  isCommitting = false;
  if (error !== undefined) {
    report.note(`a commit has failed: ${String(error)}`);
    return;
  }
  const done = offsets.map(({ partition, offset = -1 }) => [partition, offset] as const);
  report.committed(done);
  commits.committed(done.filter(([partition]) => report.ownershipOf(partition) !== undefined));
}
