/** How far readers lag, whichever partitions they read: every leader is asked once for all of its readers. */

import { mapAtOnce } from "../model/at-once.ts";
import { type Failure, failure, isFailure } from "../model/errors.ts";
import { LAG_LEADERS_AT_ONCE, LAG_POSITIONS_PER_CALL_MAX } from "../model/limits.ts";
import { blankPartitions } from "./blank-partitions.ts";
import { byDeadline } from "./by-deadline.ts";
import type { Cluster, TopicReference } from "./cluster.ts";

/** Where one reader stands in one partition. */
export interface Position {
  readonly topic: TopicReference;
  readonly partition: number;
  /** Of what it reads next; null: it has not begun, so that only the log's bounds are asked for. */
  readonly offset: number | null;
}

export interface Lag {
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  /** As Kafka counts it: the log end minus the offset, negative where that lies beyond; null without an offset. */
  readonly records: number | null;
  /** The age of the oldest unread record, in ms; null where nothing is unread or its time is not known. */
  readonly ms: number | null;
}

const BLANKS_LOOKED_UP_FROM = 16;

/**
 * The lag of every position, in order.
 *
 * @param deadlineMs (`Date.now()`): leaders that have not answered by then are REQUEST_TIMED_OUT
 */
export async function lags(
  cluster: Cluster,
  positions: readonly Position[],
  deadlineMs = Number.POSITIVE_INFINITY,
): Promise<(Lag | Failure)[]> {
  const results: (Lag | Failure)[] = new Array(positions.length);
  const isBlank = await whichAreBlank(cluster, positions);
  await mapAtOnce(questions(positions), LAG_LEADERS_AT_ONCE, async (indexes) => {
    const asked = indexes.flatMap((index) => positions[index] ?? []);
    const found =
      asked[0] !== undefined && isBlank(asked[0])
        ? asked.map(blankLag)
        : await askLeader(cluster, asked, deadlineMs);
    for (const [i, index] of indexes.entries()) results[index] = found[i] ?? failure("UNKNOWN_SERVER_ERROR");
  });
  return results;
}

/** Of topics that many partitions are asked for: most of a large topic may never have been written to. */
async function whichAreBlank(
  cluster: Cluster,
  positions: readonly Position[],
): Promise<(position: Position) => boolean> {
  const byTopic = Map.groupBy(positions, ({ topic }) => keyOf(topic));
  const large = [...byTopic].filter(([, ofTopic]) => ofTopic.length >= BLANKS_LOOKED_UP_FROM);
  const found = await mapAtOnce(large, LAG_LEADERS_AT_ONCE, async ([key, ofTopic]) => {
    const partitions = ofTopic.map(({ partition }) => partition);
    const [{ topic } = { topic: "" }] = ofTopic;
    return [key, await blankPartitions(cluster, topic, partitions)] as const;
  });
  const blank = new Map(found);
  return ({ topic, partition }) => blank.get(keyOf(topic))?.has(partition) ?? false;
}

function keyOf(topic: TopicReference): string {
  return typeof topic === "string" ? `name ${topic}` : `id ${topic.id}`;
}

function blankLag({ offset }: Position): Lag {
  return { logStartOffset: 0, logEndOffset: 0, records: offset === null ? null : 0 - offset, ms: null };
}

/** Indexes of positions that one leader is asked for in one call. */
function questions(positions: readonly Position[]): number[][] {
  const byPartition = Map.groupBy(positions.keys(), (index) => {
    const { topic = "", partition = -1 } = positions[index] ?? {};
    return `${keyOf(topic)}/${partition}`;
  });
  return [...byPartition.values()].flatMap((indexes) => {
    const calls: number[][] = [];
    for (let from = 0; from < indexes.length; from += LAG_POSITIONS_PER_CALL_MAX) {
      calls.push(indexes.slice(from, from + LAG_POSITIONS_PER_CALL_MAX));
    }
    return calls;
  });
}

/** Positions of one partition. */
async function askLeader(
  cluster: Cluster,
  positions: readonly Position[],
  deadlineMs: number,
): Promise<(Lag | Failure)[]> {
  const [first] = positions;
  if (first === undefined) return [];
  const offsets = positions.map(({ offset }) => offset);
  // Readers that keep up stand at the same offset.
  const known = [...new Set(offsets.filter((offset) => offset !== null))];
  const answer = await byDeadline(() => cluster.lag(first.topic, first.partition, known), deadlineMs);
  if (isFailure(answer)) return offsets.map(() => answer);
  const { logStartOffset, highWatermark: logEndOffset } = answer;
  const times = new Map(known.map((offset, index) => [offset, answer.oldestUnreadMs[index] ?? null]));
  const nowMs = Date.now();
  return offsets.map((offset) => {
    if (offset === null) return { logStartOffset, logEndOffset, records: null, ms: null };
    const oldestMs = times.get(offset) ?? null;
    const ms = oldestMs === null ? null : Math.max(0, nowMs - oldestMs);
    return { logStartOffset, logEndOffset, records: logEndOffset - offset, ms };
  });
}
