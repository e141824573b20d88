import { type Failure, failure, isFailure } from "../../model/errors.ts";
import type { Topic } from "../../model/topic.ts";
import type { Brokers } from "../brokers.ts";
import { errorFields } from "../error-codes.ts";
import { type Call, handler } from "../handler.ts";
import { createPartitionsApi } from "../messages/create-partitions.ts";
import { repeatedIn } from "../repeated.ts";
import { replicaAssignmentProblem } from "../replica-assignment.ts";
import type { RequestOf } from "../schema.ts";

type Asked = RequestOf<typeof createPartitionsApi>["topics"][number];

/** Where replicas go is the platform's to decide: assignments are only checked. */
export const createPartitions = handler(createPartitionsApi, async ({ topics, validateOnly }, call) => {
  const repeated = repeatedIn(topics.map(({ name }) => name));
  const results = [];
  for (const asked of topics) {
    const topic = repeated.has(asked.name)
      ? failure("INVALID_REQUEST", "the topic is named twice in one request")
      : await create(asked, validateOnly, call);
    results.push({ name: asked.name, ...errorFields(topic) });
  }
  return { results };
});

async function create(
  { name, count, assignments }: Asked,
  validateOnly: boolean,
  { session: { cluster, brokers } }: Call,
): Promise<Topic | Failure> {
  if (assignments !== null) {
    const topic = await cluster.controller.topic(name);
    if (isFailure(topic)) return topic;
    const problem = assignmentsProblem(assignments, count - topic.partitions, brokers);
    if (problem !== undefined) return problem;
  }
  return cluster.controller.createPartitions(name, count, validateOnly);
}

function assignmentsProblem(
  assignments: NonNullable<Asked["assignments"]>,
  added: number,
  brokers: Brokers,
): Failure | undefined {
  // A number of partitions that is no increase is refused with its own error.
  if (added <= 0) return undefined;
  if (assignments.length !== added) {
    return failure(
      "INVALID_REPLICA_ASSIGNMENT",
      `${added} partition(s) would be added, and ${assignments.length} are assigned`,
    );
  }
  for (const { brokerIds } of assignments) {
    const problem = replicaAssignmentProblem(brokerIds, brokers);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
