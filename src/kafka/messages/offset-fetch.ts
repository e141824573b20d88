import { api, array, bool, int16, int32, int64, string, uuid } from "../schema.ts";

/**
 * A consumer group's committed offsets; -1 where there is none. Several groups at once from version 8 on (KIP-709).
 */
export const offsetFetchApi = api({
  key: 9,
  name: "OffsetFetch",
  versions: "1-10",
  flexible: 6,
  request: {
    groupId: string("0-7").or(""),
    topics: array(
      {
        name: string(),
        partitionIndexes: array(int32()),
      },
      "0-7",
    )
      .nullable("2-7")
      .or([]),
    groups: array(
      {
        groupId: string(),
        memberId: string("9+").nullable().or(null).ignorable(),
        memberEpoch: int32("9+").or(-1).ignorable(),
        topics: array({
          name: string("8-9").ignorable(),
          topicId: uuid("10+").ignorable(),
          partitionIndexes: array(int32()),
        }).nullable(),
      },
      "8+",
    ).or([]),
    requireStable: bool("7+").or(false),
  },
  response: {
    throttleTimeMs: int32("3+").or(0),
    topics: array(
      {
        name: string(),
        partitions: array({
          partitionIndex: int32(),
          committedOffset: int64(),
          committedLeaderEpoch: int32("5-7").or(-1),
          metadata: string().nullable(),
          errorCode: int16(),
        }),
      },
      "0-7",
    ).or([]),
    errorCode: int16("2-7").or(0),
    groups: array(
      {
        groupId: string(),
        topics: array({
          name: string("8-9"),
          topicId: uuid("10+"),
          partitions: array({
            partitionIndex: int32(),
            committedOffset: int64(),
            committedLeaderEpoch: int32().or(-1),
            metadata: string().nullable(),
            errorCode: int16(),
          }),
        }),
        errorCode: int16().or(0),
      },
      "8+",
    ).or([]),
  },
});
