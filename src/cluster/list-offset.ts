/** ListOffsets: the leader names a batch by its header, or where in R2 to look for it; the record is found here. */

import { type ListOffsetsResult, MAX_TIMESTAMP } from "../../durable-objects/partition/rpc.ts";
import { readBatchHeader } from "../log/batch-header.ts";
import { findByTimestamp } from "../log/decode-batch.ts";
import { type Failure, isFailure } from "../model/errors.ts";
import { readBatchOfTimestamp, type SegmentBucket } from "../tier/read-range.ts";
import { askTwice, type Missing, missing } from "./missing-segment.ts";

export interface ListedOffset {
  /** -1 where no record has such a timestamp. */
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

/** What finding an offset needs of the cluster. */
interface Source {
  readonly bucket: SegmentBucket;
  ask(timestamp: number, fromOffset: number): Promise<ListOffsetsResult>;
  /** Makes failures of exceptions. */
  run<T>(read: () => Promise<T>): Promise<T | Failure>;
}

/** Where the record could have been and is not. */
interface Miss {
  readonly startOffset: number;
  readonly nextOffset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
  /** There was not even a batch. */
  readonly isBlank: boolean;
}

/** So many headers in a row may promise what their batches do not hold. */
const LOOKS_MAX = 16;

/** `timestamp` in ms, or one of Kafka's special ones (partition/rpc.ts). */
export async function listOffset(timestamp: number, source: Source): Promise<ListedOffset | Failure> {
  let sought = timestamp;
  let fromOffset = 0;
  for (let looks = 1; ; looks++) {
    const look = await askTwice(() => lookOnce(source, sought, fromOffset));
    if (isFailure(look) || "offset" in look) return look;
    const { startOffset, nextOffset, timestampMs, leaderEpoch, isBlank } = look;
    // The youngest record is deleted, though the rest of its batch is not: no other one is known.
    if (timestamp === MAX_TIMESTAMP && !isBlank)
      return { offset: startOffset, timestamp: timestampMs, leaderEpoch };
    // Early, but no record is passed over.
    if (looks === LOOKS_MAX) return { offset: nextOffset, timestamp: -1, leaderEpoch };
    sought = timestampMs;
    fromOffset = nextOffset;
  }
}

async function lookOnce(
  source: Source,
  sought: number,
  fromOffset: number,
): Promise<ListedOffset | Miss | Failure | Missing> {
  const answer = await source.ask(sought, fromOffset);
  if (isFailure(answer)) return answer;
  const { leaderEpoch } = answer;
  if (answer.kind === "offset") return { offset: answer.offset, timestamp: answer.timestamp, leaderEpoch };
  return source.run(async () => {
    const place = await placeOf(answer, source.bucket);
    if ("error" in place) return place;
    const { batch, startOffset, nextOffset } = place;
    const { timestampMs } = answer;
    const found = batch.length === 0 ? undefined : findByTimestamp(batch, timestampMs, startOffset);
    return found === undefined
      ? { startOffset, nextOffset, timestampMs, leaderEpoch, isBlank: batch.length === 0 }
      : { ...found, leaderEpoch };
  });
}

/** The one batch that may hold the record, empty if there is none, and where to go on. */
async function placeOf(
  answer: Extract<ListOffsetsResult, { readonly kind: "batch" | "remote" }>,
  bucket: SegmentBucket,
): Promise<{ batch: Uint8Array; startOffset: number; nextOffset: number } | Missing> {
  if (answer.kind === "batch") {
    const { batch, logStartOffset } = answer;
    return { batch, startOffset: logStartOffset, nextOffset: readBatchHeader(batch).nextOffset };
  }
  const { range, timestampMs } = answer;
  const batch = await readBatchOfTimestamp(bucket, range, timestampMs);
  if (batch === undefined) return missing(range);
  const nextOffset = batch.length === 0 ? answer.nextOffset : readBatchHeader(batch).nextOffset;
  return { batch, startOffset: range.offset, nextOffset };
}
