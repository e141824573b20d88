/** How far readers of one partition lag: the leader knows, but for the time of a batch that is only in R2. */

import type { LagAnswer, LogBounds } from "../../durable-objects/partition/rpc.ts";
import { batchTime, readBatchHeader } from "../log/batch-header.ts";
import { mapAtOnce } from "../model/at-once.ts";
import { type Failure, isFailure } from "../model/errors.ts";
import { readBatchOfTimestamp, readRange, type SegmentBucket } from "../tier/read-range.ts";
import type { RemoteRange } from "../tier/segment-object.ts";
import type { RecordTimes } from "./record-times.ts";

export interface PartitionLag extends LogBounds {
  /**
   * One per position, in order: the time in ms of the batch that holds the first unread record; null where nothing is
   * unread, or where the batch has no time or cannot be read from R2 now.
   */
  readonly oldestUnreadMs: readonly (number | null)[];
}

interface Source {
  readonly bucket: SegmentBucket;
  readonly times: RecordTimes;
  ask(): Promise<LagAnswer | Failure>;
  /** Makes failures of exceptions. */
  run<T>(read: () => Promise<T>): Promise<T | Failure>;
}

const READS_AT_ONCE = 8;

export async function partitionLag(source: Source): Promise<PartitionLag | Failure> {
  const answer = await source.ask();
  if (isFailure(answer)) return answer;
  const { oldestUnread, ...bounds } = answer;
  const oldestUnreadMs = await mapAtOnce(oldestUnread, READS_AT_ONCE, async (found) => {
    const timestampMs = found !== null && typeof found === "object" ? await remoteTime(found, source) : found;
    return timestampMs === null || timestampMs < 0 ? null : timestampMs;
  });
  return { ...bounds, oldestUnreadMs };
}

/** Their batch; a marker's where the range has no records. */
async function firstRecords(bucket: SegmentBucket, range: RemoteRange): Promise<Uint8Array | undefined> {
  const batch = await readBatchOfTimestamp(bucket, range, Number.NEGATIVE_INFINITY);
  return batch?.length === 0 ? readRange(bucket, range, range.offset, 0) : batch;
}

async function remoteTime(range: RemoteRange, source: Source): Promise<number | null> {
  // The segment's key names the partition.
  const record = `${range.key} ${range.offset}`;
  const known = source.times.get(record);
  if (known !== undefined) return known;
  const batches = await source.run(() => firstRecords(source.bucket, range));
  if (batches === undefined || isFailure(batches) || batches.length === 0) return null;
  const timestampMs = batchTime(readBatchHeader(batches));
  source.times.set(record, timestampMs);
  return timestampMs;
}
