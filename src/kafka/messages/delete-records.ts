import { api, array, int16, int32, int64, string } from "../schema.ts";

/** Moves the log start offset of partitions up; -1: to the high watermark (KIP-107). */
export const deleteRecordsApi = api({
  key: 21,
  name: "DeleteRecords",
  versions: "0-2",
  flexible: 2,
  request: {
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        offset: int64(),
      }),
    }),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        lowWatermark: int64(),
        errorCode: int16(),
      }),
    }),
  },
});
