import { type Failure, failure, isFailure } from "../../model/errors.ts";
import type { Topic } from "../../model/topic.ts";
import { CONFIG_SOURCE, describedTopicConfigs } from "../described-configs.ts";
import { errorFields } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { createTopicsApi } from "../messages/create-topics.ts";
import { repeatedIn } from "../repeated.ts";
import { replicaAssignmentProblem } from "../replica-assignment.ts";
import { type RequestOf, ZERO_UUID } from "../schema.ts";

type Request = RequestOf<typeof createTopicsApi>;
type NewTopic = Request["topics"][number];

const DEFAULT = -1;

export const createTopics = handler(createTopicsApi, async ({ topics, validateOnly }, call) => {
  const repeated = repeatedIn(topics.map(({ name }) => name));
  const results = [];
  for (const asked of topics) {
    const topic = repeated.has(asked.name)
      ? failure("INVALID_REQUEST", "the topic is named twice in one request")
      : await create(asked, validateOnly, call);
    results.push({ name: asked.name, ...errorFields(topic), ...created(topic, call) });
  }
  return { topics: results };
});

function create(
  asked: NewTopic,
  validateOnly: boolean,
  { session }: Call,
): Promise<Topic | Failure> | Failure {
  const { name, numPartitions, replicationFactor, assignments } = asked;
  const isAssigned = assignments.length > 0;
  if (isAssigned && (numPartitions !== DEFAULT || replicationFactor !== DEFAULT)) {
    return failure("INVALID_REQUEST", "with assignments, partitions and replication factor must both be -1");
  }
  const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
  if (assignments.some((_, index) => !indexes.has(index))) {
    return failure("INVALID_REPLICA_ASSIGNMENT", "assignments must name the partitions from 0 on, each once");
  }
  const { replicationFactorMax } = session.brokers;
  for (const { brokerIds } of assignments) {
    const problem = replicaAssignmentProblem(brokerIds, session.brokers);
    if (problem !== undefined) return problem;
  }
  if (!isAssigned && !isReplicationFactor(replicationFactor, replicationFactorMax)) {
    return failure(
      "INVALID_REPLICATION_FACTOR",
      `the replication factor must be -1 or from 1 to ${replicationFactorMax}; every append is replicated by the platform whatever it says`,
    );
  }
  const unset = asked.configs.find(({ value }) => value === null);
  if (unset !== undefined) return failure("INVALID_CONFIG", `${unset.name} has no value`);
  const twice = repeatedIn(asked.configs.map((config) => config.name));
  if (twice.size > 0) return failure("INVALID_CONFIG", `${[...twice].join(", ")} is given twice`);
  const configs = Object.fromEntries(asked.configs.map((config) => [config.name, config.value ?? ""]));
  const replicas = isAssigned ? (assignments[0]?.brokerIds.length ?? 0) : replicationFactor;
  const partitions = isAssigned ? assignments.length : numPartitions;
  return session.cluster.controller.createTopic({
    name,
    configs,
    validateOnly,
    ...(partitions !== DEFAULT && { partitions }),
    ...(replicas > 0 && { replicationFactor: replicas }),
  });
}

function created(topic: Topic | Failure, { session: { brokers } }: Call) {
  if (isFailure(topic)) return { topicId: ZERO_UUID };
  return {
    topicId: topic.id,
    numPartitions: topic.partitions,
    replicationFactor: brokers.replicasOf(topic, 0).length,
    configs: describedTopicConfigs(topic).map(({ name, value, source }) => ({
      name,
      value,
      readOnly: false,
      configSource: CONFIG_SOURCE[source],
      isSensitive: false,
    })),
  };
}

function isReplicationFactor(factor: number, max: number): boolean {
  return factor === DEFAULT || (factor >= 1 && factor <= max);
}
