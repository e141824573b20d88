import { api, array, int16, int32, int64, string } from "../schema.ts";

/** Transactional ids (KIP-664); by how long their transactions have been going on from version 1 on, by name from 2 on. */
export const listTransactionsApi = api({
  key: 66,
  name: "ListTransactions",
  versions: "0-2",
  flexible: 0,
  request: {
    stateFilters: array(string()),
    producerIdFilters: array(int64()),
    durationFilter: int64("1+").or(-1),
    transactionalIdPattern: string("2+").nullable().or(null),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16(),
    unknownStateFilters: array(string()),
    transactionStates: array({
      transactionalId: string(),
      producerId: int64(),
      transactionState: string(),
    }),
  },
});
