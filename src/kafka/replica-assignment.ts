import { type Failure, failure } from "../model/errors.ts";
import type { Brokers } from "./brokers.ts";
import { repeatedIn } from "./repeated.ts";

/**
 * INVALID_REPLICA_ASSIGNMENT, as Kafka has it: a partition is assigned to brokers that there are, to at least one, and
 * to each once. Where a replica really is, is the platform's to decide.
 */
export function replicaAssignmentProblem(
  brokerIds: readonly number[],
  brokers: Pick<Brokers, "replicationFactorMax">,
): Failure | undefined {
  const { replicationFactorMax } = brokers;
  const unknown = brokerIds.find((id) => id < 0 || id >= replicationFactorMax);
  if (unknown !== undefined) {
    return failure("INVALID_REPLICA_ASSIGNMENT", `there is no broker ${unknown} to assign a replica to`);
  }
  if (brokerIds.length === 0 || repeatedIn(brokerIds).size > 0) {
    return failure("INVALID_REPLICA_ASSIGNMENT", "each partition is assigned to brokers, each once");
  }
  return undefined;
}
