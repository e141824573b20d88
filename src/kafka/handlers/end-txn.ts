import { isFailure } from "../../model/errors.ts";
import { handler } from "../handler.ts";
import { endTxnApi } from "../messages/end-txn.ts";
import { transactionErrorCode } from "../transaction-errors.ts";

const FIRST_VERSION_WITH_FENCED = 2;
const FIRST_VERSION_THAT_BUMPS = 5;

/** Answered when readers can see it, where that does not take too long; Kafka answers when it is decided. */
export const endTxn = handler(
  endTxnApi,
  async ({ transactionalId, ...request }, { version, session: { cluster } }) => {
    const result = await cluster
      .transaction(transactionalId)
      .endTransaction({ ...request, bumpsEpoch: version >= FIRST_VERSION_THAT_BUMPS });
    const errorCode = transactionErrorCode(result, version, FIRST_VERSION_WITH_FENCED);
    return isFailure(result) ? { errorCode } : { errorCode, ...result };
  },
);
