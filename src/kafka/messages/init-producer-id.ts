import { api, bool, int16, int32, int64, string } from "../schema.ts";

/**
 * A producer id and epoch, for idempotent and transactional producers (KIP-98; bumping an epoch: version 3, KIP-360).
 */
export const initProducerIdApi = api({
  key: 22,
  name: "InitProducerId",
  versions: "0-6",
  flexible: 2,
  request: {
    transactionalId: string().nullable(),
    transactionTimeoutMs: int32(),
    producerId: int64("3+").or(-1),
    producerEpoch: int16("3+").or(-1),
    enable2Pc: bool("6+").or(false),
    keepPreparedTxn: bool("6+").or(false),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16(),
    producerId: int64().or(-1),
    producerEpoch: int16(),
    ongoingTxnProducerId: int64("6+").or(-1),
    ongoingTxnProducerEpoch: int16("6+").or(-1),
  },
});
