import { api, array, int16, int32, int64, string, uuid } from "../schema.ts";

/**
 * Stores a consumer group's offsets as part of a transaction (KIP-98). From version 3 on it says which member commits
 * (KIP-447), from 5 on it makes the group part of the transaction (KIP-890); 6 has topic ids.
 */
export const txnOffsetCommitApi = api({
  key: 28,
  name: "TxnOffsetCommit",
  versions: "0-6",
  flexible: 3,
  request: {
    transactionalId: string(),
    groupId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    generationIdOrMemberEpoch: int32("3+").or(-1),
    memberId: string("3+").or(""),
    groupInstanceId: string("3+").nullable().or(null),
    topics: array({
      name: string("0-5").ignorable(),
      topicId: uuid("6+").ignorable(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32("2+").or(-1).ignorable(),
        committedMetadata: string().nullable(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32().or(0),
    topics: array({
      name: string("0-5"),
      topicId: uuid("6+"),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
});
