/** Kafka's error codes that the workload may meet, by their names. */

import { type ErrorName, errorRow } from "../../src/model/errors.ts";

const NAMES: readonly ErrorName[] = [
  "UNKNOWN_SERVER_ERROR",
  "OFFSET_OUT_OF_RANGE",
  "CORRUPT_MESSAGE",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "NOT_LEADER_OR_FOLLOWER",
  "REQUEST_TIMED_OUT",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR",
  "ILLEGAL_GENERATION",
  "UNKNOWN_MEMBER_ID",
  "REBALANCE_IN_PROGRESS",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "INVALID_PRODUCER_EPOCH",
  "KAFKA_STORAGE_ERROR",
  "MEMBER_ID_REQUIRED",
  "GROUP_MAX_SIZE_REACHED",
  "FENCED_INSTANCE_ID",
  "THROTTLING_QUOTA_EXCEEDED",
  "UNKNOWN_TOPIC_ID",
  "FENCED_MEMBER_EPOCH",
  "UNRELEASED_INSTANCE_ID",
  "STALE_MEMBER_EPOCH",
  "GROUP_ID_NOT_FOUND",
  "INVALID_REQUEST",
  "INCONSISTENT_GROUP_PROTOCOL",
];

const BY_CODE: ReadonlyMap<number, ErrorName> = new Map(NAMES.map((name) => [errorRow(name).code, name]));

export function errorNameOf(code: number): ErrorName {
  const name = BY_CODE.get(code);
  if (name === undefined) throw new RangeError(`error code ${code} was not expected`);
  return name;
}
