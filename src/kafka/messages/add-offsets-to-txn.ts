import { api, int16, int32, int64, string } from "../schema.ts";

/** Makes a group part of a producer's transaction (KIP-98): its offsets are then committed with TxnOffsetCommit. */
export const addOffsetsToTxnApi = api({
  key: 25,
  name: "AddOffsetsToTxn",
  versions: "0-4",
  flexible: 3,
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    groupId: string(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16(),
  },
});
