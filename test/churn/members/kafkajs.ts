/** A member of a group by kafkajs: the classic protocol, eager. */

import kafkajs from "kafkajs";
import { memberArguments, onStop, stdoutReport, TIMES } from "./process.ts";

const { bootstrap, topic, group } = memberArguments();
const report = stdoutReport();
const kafka = new kafkajs.Kafka({
  brokers: [bootstrap],
  logLevel: kafkajs.logLevel.NOTHING,
  retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 20 },
});
const consumer = kafka.consumer({
  groupId: group,
  sessionTimeout: TIMES.sessionTimeoutMs,
  heartbeatInterval: TIMES.heartbeatIntervalMs,
  rebalanceTimeout: TIMES.rebalanceTimeoutMs,
  maxWaitTimeInMs: TIMES.fetchWaitMs,
});
/** In the generation that it has joined last. */
let assigned: readonly number[] = [];
consumer.on(consumer.events.REBALANCING, () => report.revoked(report.owned));
consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
  // Without a rebalance that it was told of: its session had ended, and it had to join as a new member.
  report.lost(report.owned);
  assigned = payload.memberAssignment[topic] ?? [];
  report.assigned(assigned);
});
consumer.on(consumer.events.COMMIT_OFFSETS, ({ payload }) => {
  report.committed(
    payload.topics.flatMap(({ partitions }) =>
      partitions.map(({ partition, offset }) => [Number(partition), offset] as const),
    ),
  );
});
consumer.on(consumer.events.CRASH, ({ payload }) => report.note(`crashed: ${payload.error.message}`));

await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
onStop(() => consumer.disconnect());
await consumer.run({
  eachBatch: async ({ batch: { partition, messages } }) => {
    // It could not join again, for want of a connection: it goes on in the generation in which it was.
    if (report.ownershipOf(partition) === undefined && assigned.includes(partition))
      report.assigned(assigned);
    const sequences = messages.map(({ value }) => value?.toString() ?? "");
    report.processed(partition, Number(messages[0]?.offset), sequences);
  },
});
