import type { OffsetToCommit } from "../../../durable-objects/group/rpc.ts";
import { mapAtOnce } from "../../model/at-once.ts";
import { type ErrorName, errorRow, type Failure, failure, isFailure } from "../../model/errors.ts";
import { KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import type { Topic } from "../../model/topic.ts";
import { groupOf } from "../groups.ts";
import { type Call, handler } from "../handler.ts";
import { offsetCommitApi } from "../messages/offset-commit.ts";
import type { RequestOf } from "../schema.ts";

type Request = RequestOf<typeof offsetCommitApi>;
type AskedTopic = Request["topics"][number];

const MEMBER_EPOCHS_VERSION = 9;
const TOPIC_IDS_VERSION = 10;

export const offsetCommit = handler(offsetCommitApi, async (request, call) => {
  const { version, session } = call;
  const topics = await mapAtOnce(request.topics, KAFKA_PARTITIONS_AT_ONCE, async (asked) => ({
    asked,
    topic: await topicOf(asked, call),
  }));
  const offsets = topics.flatMap(({ asked, topic }) => (isFailure(topic) ? [] : offsetsOf(asked, topic)));
  const committed = await groupOf(session, request.groupId).commitOffsets({
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generation: request.generationIdOrMemberEpoch,
    knowsMemberEpochs: version >= MEMBER_EPOCHS_VERSION,
    ...(request.retentionTimeMs >= 0 && { retentionMs: request.retentionTimeMs }),
    offsets,
  });
  const errors = new Map<string, ErrorName | null>();
  if (!isFailure(committed)) {
    for (const { topicId, partition, error } of committed) errors.set(`${topicId}/${partition}`, error);
  }
  const errorOf = (topic: Topic | Failure, partition: number): ErrorName | null => {
    if (isFailure(topic)) return topic.error;
    if (partition < 0 || partition >= topic.partitions) return "UNKNOWN_TOPIC_OR_PARTITION";
    return isFailure(committed) ? committed.error : (errors.get(`${topic.id}/${partition}`) ?? null);
  };
  return {
    topics: topics.map(({ asked, topic }) => ({
      name: asked.name,
      topicId: asked.topicId,
      partitions: asked.partitions.map(({ partitionIndex }) => {
        const error = errorOf(topic, partitionIndex);
        return { partitionIndex, errorCode: error === null ? 0 : errorRow(error).code };
      }),
    })),
  };
});

async function topicOf({ name, topicId }: AskedTopic, { version, session }: Call): Promise<Topic | Failure> {
  const topic = await session.cluster.topic(version >= TOPIC_IDS_VERSION ? { id: topicId } : name);
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
