/**
 * A tiered segment: one R2 object, byte-identical to a Kafka `.log` segment file.
 */

import type { PartitionIdentity } from "../model/ids.ts";

/** A part of a segment object that begins and ends on batch boundaries. */
export interface RemoteRange {
  readonly key: string;
  /** Bytes from the object's start. */
  readonly position: number;
  readonly length: number;
  /** The first batch in the range that matters is the one that contains this offset (or, by time, has this maxTimestamp). */
  readonly offset: number;
  /** Batches from this offset on are not meant: a read_committed reader may not see them. Absent: all are. */
  readonly beforeOffset?: number;
}

/** `<topicId>/<partition>/<placement>/<generation>/<20-digit base offset>.log`: the basename is what kafka-dump-log expects. */
export function segmentObjectKey(
  identity: PartitionIdentity,
  generation: number,
  baseOffset: number,
): string {
  return `${partitionObjectPrefix(identity)}${generation}/${String(baseOffset).padStart(20, "0")}.log`;
}

/** What every object of a partition begins with. */
export function partitionObjectPrefix({ topicId, partition, placement }: PartitionIdentity): string {
  return `${topicId}/${partition}/${placement}/`;
}
