/** Where subscriptions begin, as offsets. */

import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, type LogBounds } from "../../durable-objects/partition/rpc.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { type Failure, failure, isFailure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import { SUBSCRIPTION_LOOKUPS_MAX } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import type { StartPosition } from "./position.ts";
import type { PartitionStart } from "./protocol.ts";

/** About one partition; OFFSET_OUT_OF_RANGE tells the bounds. */
export type StartFailure = Failure & Partial<LogBounds> & { readonly partition: number };

export interface StartOffset {
  readonly partition: number;
  readonly offset: number;
  /** It was asked for as "earliest". */
  readonly isLogStart: boolean;
}

/**
 * In ascending order of partitions; the latest is where such a reader may read to. An offset that a client named itself is taken as it is, unless it is to be checked
 * against the log. The first failure is the answer.
 */
export async function startOffsets(
  cluster: Cluster,
  topic: Pick<Topic, "id">,
  starts: readonly PartitionStart[],
  isolation: Isolation,
  check: "checked" | "unchecked",
): Promise<StartOffset[] | StartFailure> {
  const sorted = starts.toSorted((a, b) => a.partition - b.partition);
  const offsets: StartOffset[] = [];
  for (let at = 0; at < sorted.length; at += SUBSCRIPTION_LOOKUPS_MAX) {
    const some = sorted.slice(at, at + SUBSCRIPTION_LOOKUPS_MAX);
    const found = await Promise.all(
      some.map(async (start) => ({
        partition: start.partition,
        isLogStart: "offset" in start && start.offset === "earliest",
        offset: await startOffset(cluster, topic, start, isolation, check),
      })),
    );
    for (const { partition, offset, isLogStart } of found) {
      if (typeof offset !== "number") return { ...offset, partition };
      offsets.push({ partition, offset, isLogStart });
    }
  }
  return offsets;
}

async function startOffset(
  cluster: Cluster,
  topic: Pick<Topic, "id">,
  start: PartitionStart,
  isolation: Isolation,
  check: "checked" | "unchecked",
): Promise<number | (Failure & Partial<LogBounds>)> {
  const { partition } = start;
  if ("offset" in start && typeof start.offset === "number") {
    return check === "checked" ? checkedOffset(cluster, topic, partition, start.offset) : start.offset;
  }
  // First, so that a record that comes while the time is looked for is not passed over.
  const end =
    "timestamp" in start
      ? await cluster.listOffsets(topic, partition, LATEST_TIMESTAMP, isolation)
      : undefined;
  if (isFailure(end)) return end;
  const found = await cluster.listOffsets(topic, partition, timestampOf(start), isolation);
  if (isFailure(found)) return found;
  return found.offset >= 0 || end === undefined ? found.offset : end.offset;
}

function timestampOf(start: StartPosition): number {
  if ("timestamp" in start) return start.timestamp;
  return start.offset === "earliest" ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP;
}

async function checkedOffset(
  cluster: Cluster,
  topic: Pick<Topic, "id">,
  partition: number,
  offset: number,
): Promise<number | (Failure & Partial<LogBounds>)> {
  const described = await cluster.describePartition(topic, partition);
  if (isFailure(described)) return described;
  const { logStartOffset, highWatermark } = described;
  if (offset >= logStartOffset && offset <= highWatermark) return offset;
  return {
    ...failure(
      "OFFSET_OUT_OF_RANGE",
      `offset ${offset} of partition ${partition} lies outside the log, which has offsets ${logStartOffset} to ${highWatermark}`,
    ),
    logStartOffset,
    highWatermark,
  };
}
