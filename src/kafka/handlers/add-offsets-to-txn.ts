import { failure } from "../../model/errors.ts";
import { groupIdProblem } from "../../model/ids.ts";
import { handler } from "../handler.ts";
import { addOffsetsToTxnApi } from "../messages/add-offsets-to-txn.ts";
import { transactionErrorCode } from "../transaction-errors.ts";

const FIRST_VERSION_WITH_FENCED = 2;

export const addOffsetsToTxn = handler(
  addOffsetsToTxnApi,
  async ({ transactionalId, ...request }, { version, session: { cluster } }) => {
    const problem = groupIdProblem(request.groupId);
    const result =
      problem === undefined
        ? await cluster.transaction(transactionalId).addGroup(request)
        : failure("INVALID_GROUP_ID", problem);
    return { errorCode: transactionErrorCode(result, version, FIRST_VERSION_WITH_FENCED) };
  },
);
