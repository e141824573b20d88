import { mapAtOnce } from "../../model/at-once.ts";
import { errorRow, type Failure, failure, isFailure } from "../../model/errors.ts";
import { KAFKA_METADATA_PARTITIONS_MAX, KAFKA_PARTITIONS_AT_ONCE } from "../../model/limits.ts";
import { placementOf, type Topic } from "../../model/topic.ts";
import { CLUSTER_OPERATIONS, TOPIC_OPERATIONS } from "../authorized-operations.ts";
import type { Brokers } from "../brokers.ts";
import { errorCodeOf } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { metadataApi } from "../messages/metadata.ts";
import { type RequestOf, ZERO_UUID } from "../schema.ts";
import { everyTopic } from "../topics.ts";

type Request = RequestOf<typeof metadataApi>;
type AskedTopic = NonNullable<Request["topics"]>[number];

export const metadata = handler(metadataApi, async (request, call) => {
  const { brokers } = call.session;
  return {
    brokers: brokers.all,
    clusterId: await call.session.clusterId(),
    controllerId: brokers.controllerId,
    topics: await topicsOf(request, call),
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : undefined,
  };
});

async function topicsOf(request: Request, call: Call) {
  const { brokers, cluster } = call.session;
  let room = KAFKA_METADATA_PARTITIONS_MAX;
  const described = (topic: Topic) => {
    const { name, id: topicId } = topic;
    // There are no pages, and a client that is told of some of the partitions would take them for all.
    if (topic.partitions > room) {
      return { errorCode: errorRow("POLICY_VIOLATION").code, name, topicId, partitions: [] };
    }
    room -= topic.partitions;
    return {
      errorCode: 0,
      name,
      topicId,
      partitions: partitionsOf(topic, brokers),
      topicAuthorizedOperations: request.includeTopicAuthorizedOperations ? TOPIC_OPERATIONS : undefined,
    };
  };
  // All of them: null, or in version 0 an empty array.
  if (request.topics === null || (call.version === 0 && request.topics.length === 0)) {
    return (await everyTopic(cluster)).map(described);
  }
  return mapAtOnce(request.topics, KAFKA_PARTITIONS_AT_ONCE, async (asked) => {
    const topic = await find(asked, request.allowAutoTopicCreation, call);
    if (!isFailure(topic)) return described(topic);
    return { errorCode: errorCodeOf(topic), name: asked.name, topicId: asked.topicId, partitions: [] };
  });
}

async function find(
  { name, topicId }: AskedTopic,
  create: boolean,
  { session: { cluster } }: Call,
): Promise<Topic | Failure> {
  // What another isolate has just created or changed must be seen by who refreshes because of it.
  if (topicId !== ZERO_UUID) return cluster.controller.topicById(topicId);
  if (name === null) return failure("INVALID_REQUEST", "a topic is asked for by name or by id");
  const topic = await cluster.controller.topic(name);
  const isUnknown = isFailure(topic) && topic.error === "UNKNOWN_TOPIC_OR_PARTITION";
  return isUnknown && create ? cluster.topicForProduce(name) : topic;
}

function partitionsOf(topic: Topic, brokers: Brokers) {
  return Array.from({ length: topic.partitions }, (_, partitionIndex) => {
    const replicas = brokers.replicasOf(topic, partitionIndex);
    return {
      errorCode: 0,
      partitionIndex,
      leaderId: brokers.leaderOf(topic, partitionIndex),
      leaderEpoch: placementOf(topic, partitionIndex),
      replicaNodes: replicas,
      isrNodes: replicas,
    };
  });
}
