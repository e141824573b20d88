import { isFailure } from "../model/errors.ts";
import { OPENED_PARTITIONS_PER_LIST_MAX } from "../model/limits.ts";
import type { Cluster, TopicReference } from "./cluster.ts";

/**
 * Which of these partitions of a topic have never been written to, as the Controller knows it: their logs are empty, and
 * there is no need to wake an object to hear that. What cannot be found out is taken for written.
 */
export async function blankPartitions(
  cluster: Cluster,
  reference: TopicReference,
  partitions: readonly number[],
): Promise<ReadonlySet<number>> {
  const topic = await cluster.topic(reference);
  if (isFailure(topic)) return new Set();
  const blank = new Set(partitions.filter((partition) => partition < topic.partitions));
  try {
    const last = Math.max(...blank);
    for (let after = Math.min(...blank) - 1; after < last; ) {
      const opened = await cluster.controller.openedPartitions(
        topic.id,
        after,
        OPENED_PARTITIONS_PER_LIST_MAX,
      );
      for (const partition of opened) blank.delete(partition);
      if (opened.length < OPENED_PARTITIONS_PER_LIST_MAX) break;
      after = opened.at(-1) ?? last;
    }
    return blank;
  } catch (error) {
    console.warn("which partitions are blank could not be asked:", error);
    return new Set();
  }
}
