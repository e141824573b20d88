import { api, array, int16, int32, int64, string } from "../schema.ts";

/** What transactional ids are doing (KIP-664). */
export const describeTransactionsApi = api({
  key: 65,
  name: "DescribeTransactions",
  versions: "0",
  flexible: 0,
  request: {
    transactionalIds: array(string()),
  },
  response: {
    throttleTimeMs: int32().or(0),
    transactionStates: array({
      errorCode: int16(),
      transactionalId: string(),
      transactionState: string(),
      transactionTimeoutMs: int32(),
      transactionStartTimeMs: int64(),
      producerId: int64(),
      producerEpoch: int16(),
      topics: array({ topic: string(), partitions: array(int32()) }),
    }),
  },
});
