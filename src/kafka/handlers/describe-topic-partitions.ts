import { mapAtOnce } from "../../model/at-once.ts";
import { isFailure } from "../../model/errors.ts";
import { KAFKA_DESCRIBED_PARTITIONS_MAX, KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { placementOf, type Topic } from "../../model/topic.ts";
import { TOPIC_OPERATIONS } from "../authorized-operations.ts";
import type { Brokers } from "../brokers.ts";
import { errorCodeOf } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { describeTopicPartitionsApi } from "../messages/describe-topic-partitions.ts";
import { type RequestOf, ZERO_UUID } from "../schema.ts";
import { everyTopic } from "../topics.ts";

/** Topics in the order of their names, from the cursor on, until the answer has as many partitions as asked for. */
export const describeTopicPartitions = handler(describeTopicPartitionsApi, async (request, call) => {
  const { brokers } = call.session;
  const topics = [];
  let room = Math.max(1, Math.min(request.responsePartitionLimit, KAFKA_DESCRIBED_PARTITIONS_MAX));
  for (const { name, topic } of await wanted(request, call)) {
    const first = name === request.cursor?.topicName ? Math.max(0, request.cursor.partitionIndex) : 0;
    if (room <= 0) return { topics, nextCursor: { topicName: name, partitionIndex: first } };
    if (isFailure(topic)) {
      topics.push({ errorCode: errorCodeOf(topic), name, topicId: ZERO_UUID, partitions: [] });
      continue;
    }
    const end = Math.min(topic.partitions, first + room);
    topics.push(described(topic, first, end, brokers));
    room -= Math.max(0, end - first);
    if (end < topic.partitions) return { topics, nextCursor: { topicName: name, partitionIndex: end } };
  }
  return { topics };
});

/** All topics if none is named. */
async function wanted({ topics, cursor }: RequestOf<typeof describeTopicPartitionsApi>, { session }: Call) {
  const { cluster } = session;
  const begin = cursor?.topicName ?? "";
  if (topics.length === 0) {
    const every = await everyTopic(cluster);
    return every.filter(({ name }) => name >= begin).map((topic) => ({ name: topic.name, topic }));
  }
  const names = [...new Set(topics.map(({ name }) => name))].filter((name) => name >= begin).sort();
  return mapAtOnce(names, KAFKA_PARTITIONS_AT_ONCE, async (name) => ({
    name,
    topic: await cluster.controller.topic(name),
  }));
}

function described(topic: Topic, first: number, end: number, brokers: Brokers) {
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.id,
    topicAuthorizedOperations: TOPIC_OPERATIONS,
    partitions: Array.from({ length: Math.max(0, end - first) }, (_, index) => {
      const partitionIndex = first + index;
      const replicas = brokers.replicasOf(topic, partitionIndex);
      return {
        errorCode: 0,
        partitionIndex,
        leaderId: brokers.leaderOf(topic, partitionIndex),
        leaderEpoch: placementOf(topic, partitionIndex),
        replicaNodes: replicas,
        isrNodes: replicas,
        // The Java client does not expect the null that the schema allows.
        eligibleLeaderReplicas: [],
        lastKnownElr: [],
      };
    }),
  };
}
