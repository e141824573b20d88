import { api, array, int16, int32, int64, string, uuid } from "../schema.ts";

/**
 * Stores a consumer group's offsets. Version 9 is also KIP-848's (a member epoch for a generation); 10 has topic ids.
 */
export const offsetCommitApi = api({
  key: 8,
  name: "OffsetCommit",
  versions: "2-10",
  flexible: 8,
  request: {
    groupId: string(),
    generationIdOrMemberEpoch: int32().or(-1),
    memberId: string(),
    groupInstanceId: string("7+").nullable().or(null),
    retentionTimeMs: int64("2-4").or(-1).ignorable(),
    topics: array({
      name: string("0-9").ignorable(),
      topicId: uuid("10+").ignorable(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32("6+").or(-1).ignorable(),
        committedMetadata: string().nullable(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32("3+").or(0),
    topics: array({
      name: string("0-9"),
      topicId: uuid("10+"),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
});
