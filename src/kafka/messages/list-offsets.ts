import { api, array, int8, int16, int32, int64, string } from "../schema.ts";

/**
 * Finds offsets by time. Negative timestamps have meanings of their own: -1 latest, -2 earliest, -3 the record with
 * the largest timestamp (version 7, KIP-734), -4 earliest local (8, KIP-405), -5 latest tiered (9, KIP-1005).
 */
export const listOffsetsApi = api({
  key: 2,
  name: "ListOffsets",
  versions: "1-11",
  flexible: 6,
  request: {
    replicaId: int32(),
    isolationLevel: int8("2+"),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        currentLeaderEpoch: int32("4+").or(-1).ignorable(),
        timestamp: int64(),
      }),
    }),
    timeoutMs: int32("10+").ignorable(),
  },
  response: {
    throttleTimeMs: int32("2+").or(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        timestamp: int64().or(-1),
        offset: int64().or(-1),
        leaderEpoch: int32("4+").or(-1),
      }),
    }),
  },
});
