import { api, array, int16, int32, string } from "../schema.ts";

/** Forgets a group's offsets of topics that it is not subscribed to (KIP-496). */
export const offsetDeleteApi = api({
  key: 47,
  name: "OffsetDelete",
  versions: "0",
  request: {
    groupId: string(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
      }),
    }),
  },
  response: {
    errorCode: int16(),
    throttleTimeMs: int32().or(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
});
