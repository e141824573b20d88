import { api, array, int16, int32, int64, string } from "../schema.ts";

/** The producers that have written to partitions lately (KIP-664). */
export const describeProducersApi = api({
  key: 61,
  name: "DescribeProducers",
  versions: "0",
  flexible: 0,
  request: {
    topics: array({
      name: string(),
      partitionIndexes: array(int32()),
    }),
  },
  response: {
    throttleTimeMs: int32().or(0),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string().nullable().or(null),
        activeProducers: array({
          producerId: int64(),
          producerEpoch: int32(),
          lastSequence: int32().or(-1),
          lastTimestamp: int64().or(-1),
          coordinatorEpoch: int32(),
          currentTxnStartOffset: int64().or(-1),
        }),
      }),
    }),
  },
});
