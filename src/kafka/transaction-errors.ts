import { type ErrorName, errorRow, isFailure } from "../model/errors.ts";

/** What a client is told of a transaction; of before `fencedFrom` it knows no PRODUCER_FENCED (KIP-588). */
export function transactionErrorCode(result: unknown, version: number, fencedFrom: number): number {
  if (!isFailure(result)) return 0;
  return errorRow(inWordsOfVersion(result.error, version, fencedFrom)).code;
}

function inWordsOfVersion(error: ErrorName, version: number, fencedFrom: number): ErrorName {
  if (error === "PRODUCER_FENCED" && version < fencedFrom) return "INVALID_PRODUCER_EPOCH";
  // Clients take the errors of quotas for fatal here.
  return error === "THROTTLING_QUOTA_EXCEEDED" ? "COORDINATOR_LOAD_IN_PROGRESS" : error;
}
