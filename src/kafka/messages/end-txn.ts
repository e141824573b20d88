import { api, bool, int16, int32, int64, string } from "../schema.ts";

/** Commits or aborts a transaction (KIP-98); from version 5 on the producer goes on with another epoch (KIP-890). */
export const endTxnApi = api({
  key: 26,
  name: "EndTxn",
  versions: "0-5",
  flexible: 3,
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: bool(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16(),
    producerId: int64("5+").or(-1).ignorable(),
    producerEpoch: int16("5+").or(-1).ignorable(),
  },
});
