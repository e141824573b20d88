import type { ErrorName } from "../../model/errors.ts";
import { commitOffsets } from "../commit-offsets.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { txnOffsetCommitApi } from "../messages/txn-offset-commit.ts";

const LOADING_VERSION = 2;
const ABORTABLE_VERSION = 4;
const ADDING_VERSION = 5;
const TOPIC_IDS_VERSION = 6;
const MEMBER_EPOCHS_VERSION = 6;

export const txnOffsetCommit = handler(txnOffsetCommitApi, async (request, { version, session }) => ({
  topics: await commitOffsets({
    session,
    topics: request.topics,
    isById: version >= TOPIC_IDS_VERSION,
    commit: (offsets) =>
      groupOf(session, request.groupId).commitTransactionOffsets({
        transactionalId: request.transactionalId,
        producerId: request.producerId,
        producerEpoch: request.producerEpoch,
        adds: version >= ADDING_VERSION,
        memberId: request.memberId,
        instanceId: request.groupInstanceId,
        generation: request.generationIdOrMemberEpoch,
        offsets,
      }),
    errorOf: (error) => errorOfVersion(error, version),
  }),
}));

/**
 * What producers of the version know of (Kafka's `AddPartitionsToTxnManager`, `KafkaApis`). Who is told that the coordinator
 * loads asks again without looking for another one; producers before version 2 could crash of it.
 */
function errorOfVersion(error: ErrorName, version: number): ErrorName {
  switch (error) {
    case "PRODUCER_FENCED":
      return "INVALID_PRODUCER_EPOCH";
    case "TRANSACTION_ABORTABLE":
      return version >= ABORTABLE_VERSION ? error : "INVALID_TXN_STATE";
    case "STALE_MEMBER_EPOCH":
    case "GROUP_ID_NOT_FOUND":
      return version >= MEMBER_EPOCHS_VERSION ? error : "ILLEGAL_GENERATION";
    case "THROTTLING_QUOTA_EXCEEDED":
    case "CONCURRENT_TRANSACTIONS":
    case "COORDINATOR_LOAD_IN_PROGRESS":
      return version >= LOADING_VERSION ? "COORDINATOR_LOAD_IN_PROGRESS" : "COORDINATOR_NOT_AVAILABLE";
    default:
      return error;
  }
}
