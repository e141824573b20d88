import type { TransactionState } from "../../../durable-objects/transaction/rpc.ts";
import { everyTransaction, type ListedTransaction } from "../../cluster/transaction-list.ts";
import { EdgelogError, errorRow, type Failure, isFailure } from "../../model/errors.ts";
import { type NamePattern, namePattern } from "../../model/name-pattern.ts";
import { handler } from "../handler.ts";
import { listTransactionsApi } from "../messages/list-transactions.ts";
import type { RequestOf } from "../schema.ts";

/** Two of Kafka's are never told here. */
const STATES: ReadonlySet<string> = new Set<TransactionState | "Dead" | "PrepareEpochFence">([
  "Empty",
  "Ongoing",
  "PrepareCommit",
  "PrepareAbort",
  "CompleteCommit",
  "CompleteAbort",
  "Dead",
  "PrepareEpochFence",
]);
const EVERY: NamePattern = { matches: () => true };

export const listTransactions = handler(listTransactionsApi, async (request, { session }) => {
  const unknownStateFilters = request.stateFilters.filter((state) => !STATES.has(state));
  const refused = ({ error }: Pick<Failure, "error">) => ({
    errorCode: errorRow(error).code,
    unknownStateFilters,
    transactionStates: [],
  });
  const pattern = patternOf(request.transactionalIdPattern);
  if (isFailure(pattern)) return refused(pattern);
  try {
    const transactions = await everyTransaction(
      session.cluster,
      (id) => session.brokers.coordinatesHere(id) && pattern.matches(id),
    );
    return {
      errorCode: 0,
      unknownStateFilters,
      transactionStates: transactions
        .filter((transaction) => isWanted(request, transaction))
        .map(({ transactionalId, producerId, state }) => ({
          transactionalId,
          producerId,
          transactionState: state,
        })),
    };
  } catch (error) {
    if (!(error instanceof EdgelogError)) throw error;
    return refused({ error: "COORDINATOR_NOT_AVAILABLE" });
  }
});

function patternOf(regex: string | null): NamePattern | Failure {
  return regex === null || regex === "" ? EVERY : namePattern(regex);
}

function isWanted(
  { stateFilters, producerIdFilters, durationFilter }: RequestOf<typeof listTransactionsApi>,
  { state, producerId, startedAtMs }: ListedTransaction,
): boolean {
  if (stateFilters.length > 0 && !stateFilters.includes(state)) return false;
  if (producerIdFilters.length > 0 && !producerIdFilters.includes(producerId)) return false;
  return durationFilter < 0 || (startedAtMs >= 0 && Date.now() - startedAtMs > durationFilter);
}
