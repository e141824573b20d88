import { EdgelogError } from "../../../model/errors.ts";
import type { AbortSignalLike } from "../../abort.ts";
import { isRetriable } from "../../retry.ts";
import type { OffsetsOptions, Topics } from "../../topics.ts";
import type { AssignedPartition } from "./assigned-partition.ts";
import type { GroupSettings } from "./options.ts";

export interface StartOffset {
  readonly partition: AssignedPartition;
  readonly offset: number;
}

/** Where to begin with those of which nothing is committed. A topic that is gone meanwhile has no start. */
export async function* startOffsets(
  topics: Topics,
  { from, reading: { isolationLevel } }: GroupSettings,
  partitions: readonly AssignedPartition[],
  over: AbortSignalLike,
): AsyncGenerator<StartOffset, void, undefined> {
  const unknown = partitions.filter(({ position }) => position === undefined);
  const byTopic = new Map<string, AssignedPartition[]>();
  for (const partition of unknown) {
    const ofTopic = byTopic.get(partition.topic);
    if (ofTopic === undefined) byTopic.set(partition.topic, [partition]);
    else ofTopic.push(partition);
  }
  for (const [topic, ofTopic] of byTopic) {
    const wanted = ofTopic.filter(({ isOver }) => !isOver);
    for (;;) {
      try {
        const offsets = await offsetsOf(topics, topic, wanted, from, { isolationLevel, signal: over });
        for (const partition of wanted) {
          const offset = offsets.get(partition.partition);
          if (offset !== undefined) yield { partition, offset };
        }
        break;
      } catch (error) {
        if (over.aborted) return;
        if (error instanceof EdgelogError && error.code === "UNKNOWN_TOPIC_OR_PARTITION") break;
        // It has been tried for long already; as long as it is a member, there is nothing else to do.
        if (!isRetriable(error)) throw error;
      }
    }
  }
}

async function offsetsOf(
  topics: Topics,
  topic: string,
  wanted: readonly AssignedPartition[],
  from: GroupSettings["from"],
  options: Pick<OffsetsOptions, "isolationLevel" | "signal">,
): Promise<Map<number, number>> {
  const partitions = wanted.map(({ partition }) => partition);
  const look = async (timestamp: "earliest" | "latest" | number) => {
    const offsets = await topics.offsets(topic, { partitions, timestamp, ...options });
    return new Map(offsets.map(({ partition, offset }) => [partition, offset]));
  };
  if (typeof from === "string") return look(from);
  // In this order, a record that comes in between is not missed.
  const ends = await look("latest");
  const found = await look(from.timestamp);
  return new Map(
    [...found].map(([partition, offset]) => [partition, offset < 0 ? (ends.get(partition) ?? 0) : offset]),
  );
}
