import type { CommittedPartition, OffsetToCommit } from "../../durable-objects/group/rpc.ts";
import { mapAtOnce } from "../model/at-once.ts";
import { type ErrorName, errorRow, type Failure, failure, isFailure } from "../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import type { Session } from "./session.ts";

interface AskedPartition {
  readonly partitionIndex: number;
  readonly committedOffset: number;
  readonly committedLeaderEpoch: number;
  readonly committedMetadata: string | null;
}

interface AskedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: readonly AskedPartition[];
}

export interface OffsetCommits {
  readonly session: Session;
  readonly topics: readonly AskedTopic[];
  /** Topics are named by their ids. */
  readonly isById: boolean;
  /** Asks the group; only for partitions that there are, and not for none. */
  commit(offsets: OffsetToCommit[]): Promise<readonly CommittedPartition[] | Failure>;
  /** In the API's words. */
  errorOf?(error: ErrorName): ErrorName;
}

/** What OffsetCommit and TxnOffsetCommit answer, topic by topic. */
export async function commitOffsets({ session, topics: named, isById, commit, errorOf }: OffsetCommits) {
  const topics = await mapAtOnce(named, KAFKA_PARTITIONS_AT_ONCE, async (asked) => ({
    asked,
    topic: await topicOf(asked, isById, session),
  }));
  const offsets = topics.flatMap(({ asked, topic }) => (isFailure(topic) ? [] : offsetsOf(asked, topic)));
  const committed = offsets.length === 0 ? [] : await commit(offsets);
  const errors = new Map<string, ErrorName | null>();
  if (!isFailure(committed)) {
    for (const { topicId, partition, error } of committed) errors.set(`${topicId}/${partition}`, error);
  }
  const errorAt = (topic: Topic | Failure, partition: number): ErrorName | null => {
    if (isFailure(topic)) return topic.error;
    if (partition < 0 || partition >= topic.partitions) return "UNKNOWN_TOPIC_OR_PARTITION";
    return isFailure(committed) ? committed.error : (errors.get(`${topic.id}/${partition}`) ?? null);
  };
  return topics.map(({ asked, topic }) => ({
    name: asked.name,
    topicId: asked.topicId,
    partitions: asked.partitions.map(({ partitionIndex }) => {
      const error = errorAt(topic, partitionIndex);
      return {
        partitionIndex,
        errorCode: error === null ? 0 : errorRow(errorOf?.(error) ?? error).code,
      };
    }),
  }));
}

async function topicOf(
  { name, topicId }: AskedTopic,
  isById: boolean,
  session: Session,
): Promise<Topic | Failure> {
  const topic = await session.cluster.topic(isById ? { id: topicId } : name);
  if (!isFailure(topic) || isUnknown(topic)) return topic;
  return failure("COORDINATOR_NOT_AVAILABLE", topic.message);
}

function isUnknown({ error }: Failure): boolean {
  return error === "UNKNOWN_TOPIC_OR_PARTITION" || error === "UNKNOWN_TOPIC_ID";
}

function offsetsOf({ partitions }: AskedTopic, topic: Topic): OffsetToCommit[] {
  return partitions
    .filter(({ partitionIndex }) => partitionIndex >= 0 && partitionIndex < topic.partitions)
    .map(({ partitionIndex, committedOffset, committedLeaderEpoch, committedMetadata }) => ({
      topicId: topic.id,
      topic: topic.name,
      partition: partitionIndex,
      offset: committedOffset,
      leaderEpoch: committedLeaderEpoch,
      metadata: committedMetadata ?? "",
    }));
}
