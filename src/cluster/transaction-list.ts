import type { TransactionDescription } from "../../durable-objects/transaction/rpc.ts";
import { mapAtOnce } from "../model/at-once.ts";
import { EdgelogError, isFailure } from "../model/errors.ts";
import { NAMES_PER_LIST_MAX, TRANSACTIONS_ASKED_AT_ONCE } from "../model/limits.ts";
import type { Cluster } from "./cluster.ts";

export interface ListedTransaction extends TransactionDescription {
  readonly transactionalId: string;
}

/**
 * All transactional ids that are wanted, sorted. The Controller knows which there are; what each is doing only its own
 * coordinator does.
 *
 * @throws {EdgelogError} COORDINATOR_NOT_AVAILABLE: one that cannot be asked must not seem to be gone
 */
export async function everyTransaction(
  cluster: Cluster,
  isWanted: (transactionalId: string) => boolean,
): Promise<ListedTransaction[]> {
  const found: ListedTransaction[] = [];
  for (let after: string | undefined = ""; after !== undefined; ) {
    const ids: string[] = await cluster.controller.listTransactionalIds({ after });
    const wanted = ids.filter(isWanted);
    const described = await mapAtOnce(wanted, TRANSACTIONS_ASKED_AT_ONCE, async (transactionalId) => ({
      transactionalId,
      transaction: await cluster.transaction(transactionalId).describe(),
    }));
    for (const { transactionalId, transaction } of described) {
      if (!isFailure(transaction)) found.push({ transactionalId, ...transaction });
      // One that has just been forgotten is left out.
      else if (transaction.error !== "TRANSACTIONAL_ID_NOT_FOUND") throw EdgelogError.from(transaction);
    }
    after = ids.length < NAMES_PER_LIST_MAX ? undefined : ids.at(-1);
  }
  return found;
}
