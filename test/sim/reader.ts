/** Whoever reads: followers that go on where they were, those who ask for the log's ends, and the reading of a whole log. */

import {
  EARLIEST_TIMESTAMP,
  LATEST_TIMESTAMP,
  type LogBounds,
  type ReadFailure,
} from "../../durable-objects/partition/rpc.ts";
import { askTwice, missing } from "../../src/cluster/missing-segment.ts";
import { isFailure } from "../../src/model/errors.ts";
import { readRange } from "../../src/tier/read-range.ts";
import { readBatches } from "../crash/records.ts";
import { isFault } from "./object-host.ts";
import type { PartitionRecord } from "./partition-record.ts";
import type { LiveTopic, Workload } from "./workload.ts";

const READ_BYTES_MAX = 6_000;
const PAUSE_MS_MAX = 150;

export interface ReadAnswer extends LogBounds {
  readonly batches: Uint8Array;
}

/** As the front ends read: what lies in R2 they fetch themselves. undefined: it failed, and may be tried again. */
export async function readPartition(
  workload: Workload,
  live: LiveTopic,
  partition: number,
  offset: number,
  maxBytes: number,
): Promise<ReadAnswer | ReadFailure | undefined> {
  const leader = workload.leader(live, partition);
  const { bucket } = workload.platform;
  try {
    return await askTwice(async () => {
      const answer = await workload.frontEnd.ask(() =>
        leader.read({ topicVersion: live.topic.version, offset, maxBytes }),
      );
      if (isFailure(answer)) return answer;
      if (answer.kind === "local") return answer;
      workload.platform.count("reads of R2");
      const batches = await readRange(bucket.reader, answer.range, offset, maxBytes);
      return batches === undefined ? missing(answer.range) : { ...answer, batches };
    });
  } catch (error) {
    if (!isFault(error)) throw error;
    return undefined;
  }
}

/** Reads a partition as it grows until the topic ends or the run drains; now and then it begins anew. */
export async function follow(
  workload: Workload,
  live: LiveTopic,
  partition: number,
  record: PartitionRecord,
): Promise<void> {
  const random = workload.random.fork();
  for (let position = 0; !live.isEnded && !workload.isDraining; ) {
    const reading = record.asks();
    const answer = await readPartition(
      workload,
      live,
      partition,
      position,
      random.integer(1, READ_BYTES_MAX),
    );
    if (live.isEnded) return;
    if (answer !== undefined) position = take(workload, record, answer, position, reading);
    if (random.chance(0.02)) position = record.history.logStart;
    const isAtEnd = answer !== undefined && "batches" in answer && answer.batches.length === 0;
    await workload.pause(isAtEnd || random.chance(0.3) ? PAUSE_MS_MAX : 1);
  }
}

/** The position after an answer. */
function take(
  { platform }: Workload,
  record: PartitionRecord,
  answer: ReadAnswer | ReadFailure,
  position: number,
  reading: ReturnType<PartitionRecord["asks"]>,
): number {
  if (!isFailure(answer)) {
    record.told(reading, answer, "a follower");
    return record.follows(position, answer.batches, "a follower");
  }
  const { logStartOffset = 0, highWatermark = 0 } = answer;
  if (answer.error === "OFFSET_OUT_OF_RANGE" && logStartOffset > position) {
    record.told(reading, { logStartOffset, highWatermark }, "a follower that was overtaken");
    return logStartOffset;
  }
  // Retention has won the race twice.
  if (answer.error !== "KAFKA_STORAGE_ERROR")
    platform.violated(`${record.name}: a follower at ${position} was told ${answer.message}`);
  return position;
}

/** Asks where the log begins and ends. */
export async function watchEnds(
  workload: Workload,
  live: LiveTopic,
  partition: number,
  record: PartitionRecord,
): Promise<void> {
  while (!live.isEnded && !workload.isDraining) {
    await workload.pause(300);
    const reading = record.asks();
    const start = await offsetOf(workload, live, partition, EARLIEST_TIMESTAMP);
    const end = await offsetOf(workload, live, partition, LATEST_TIMESTAMP);
    if (live.isEnded || start === undefined || end === undefined) continue;
    record.told(reading, { logStartOffset: start, highWatermark: end }, "ListOffsets");
  }
}

async function offsetOf(
  workload: Workload,
  live: LiveTopic,
  partition: number,
  timestamp: number,
): Promise<number | undefined> {
  const leader = workload.leader(live, partition);
  try {
    const answer = await workload.frontEnd.ask(() =>
      leader.listOffsets({ topicVersion: live.topic.version, timestamp }),
    );
    if (!isFailure(answer)) return answer.kind === "offset" ? answer.offset : undefined;
    if (!live.isEnded)
      workload.platform.violated(`the offset of ${timestamp} of ${live.topic.name}: ${answer.message}`);
  } catch (error) {
    if (!isFault(error)) throw error;
  }
  return undefined;
}

/** Reads the whole log, while nothing goes wrong, and holds it against what is known. The batches, as they are stored. */
export async function readWhole(
  workload: Workload,
  live: LiveTopic,
  partition: number,
  record: PartitionRecord,
): Promise<Uint8Array[]> {
  const { history } = record;
  const { platform } = workload;
  const since = history.mark();
  const reading = record.asks();
  const first = await offsetOf(workload, live, partition, EARLIEST_TIMESTAMP);
  const end = await offsetOf(workload, live, partition, LATEST_TIMESTAMP);
  if (first === undefined || end === undefined) return [];
  record.told(reading, { logStartOffset: first, highWatermark: end }, "the check");
  let logStart = first;
  let position = first;
  let all: Uint8Array[] = [];
  while (position < end) {
    const answer = await readPartition(workload, live, partition, position, READ_BYTES_MAX);
    if (answer === undefined) continue;
    if (isFailure(answer)) {
      const { logStartOffset = 0 } = answer;
      if (logStartOffset <= position) {
        platform.violated(`${record.name}: the check at ${position} was told ${answer.message}`);
        return [];
      }
      logStart = logStartOffset;
      position = logStartOffset;
      all = [];
      continue;
    }
    const { nextOffset } = readBatches(answer.batches, position);
    if (nextOffset === position) {
      platform.violated(`${record.name}: nothing was read at ${position}, but the log ends at ${end}`);
      return [];
    }
    position = nextOffset;
    all.push(answer.batches);
  }
  const read = all.map((batches) => readBatches(batches, logStart));
  const snapshot = {
    logStart,
    logEnd: position,
    records: read.flatMap(({ records }) => records),
    bytes: all.reduce((bytes, batches) => bytes + batches.length, 0),
    takenAtMs: platform.scheduler.nowMs,
  };
  record.report(history.whole(snapshot, since, "the check"));
  platform.count("records verified", snapshot.records.length);
  return all;
}
