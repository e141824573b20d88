import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { transactionalIdProblem } from "../../src/model/ids.ts";
import type { JoinedTransaction, JoinTransactionRequest, TransactionOutcome } from "../transaction/rpc.ts";
import type { CommitResult } from "./commit-queue.ts";
import type { CurrentGroup } from "./current-group.ts";
import type { GroupOffsets } from "./group-offsets.ts";
import type { GroupStore } from "./group-store.ts";
import { commitProblem } from "./requests.ts";
import type { CommitTransactionOffsetsRequest } from "./rpc.ts";
import type { GroupContext } from "./settings.ts";

export interface TransactionRequestsContext {
  readonly current: CurrentGroup;
  readonly context: GroupContext;
  readonly store: GroupStore;
  readonly offsets: GroupOffsets;
  readonly registration: { readonly isOpen: boolean; open(): Promise<void> };
  /** Carries a change out, in this turn. */
  change<T>(change: () => T): T;
  /** Asks the coordinator of the transactional id. */
  joinTransaction(
    transactionalId: string,
    request: JoinTransactionRequest,
  ): Promise<JoinedTransaction | Failure>;
}

/** No object can have such a name, and there would be nobody to ask. */
function transactionProblem({ transactionalId }: CommitTransactionOffsetsRequest): Failure | undefined {
  const problem = transactionalIdProblem(transactionalId);
  return problem === undefined ? undefined : failure("INVALID_REQUEST", problem);
}

/** A commit on its way into a transaction. */
interface Joining {
  /** The latest outcome of its producer that has come meanwhile. */
  decidedAtMs: number;
}

/** The group's part in transactions: offsets that are committed in one, and how it ends. */
export class TransactionRequests {
  readonly #around: TransactionRequestsContext;
  /** By producer id. */
  readonly #joining = new Map<number, Set<Joining>>();

  constructor(around: TransactionRequestsContext) {
    this.#around = around;
  }

  /**
   * Before the first offset of a transaction is written, its coordinator is asked: from then on the coordinator tells the
   * outcome here. If that comes before the offset is written, the offset never is.
   */
  async commit(request: CommitTransactionOffsetsRequest): Promise<CommitResult> {
    const { current, offsets } = this.#around;
    const problem =
      current.idProblem() ??
      transactionProblem(request) ??
      commitProblem(request) ??
      this.#groupProblem(request);
    if (problem !== undefined) return problem;
    const group = current.value;
    const open = group === undefined ? undefined : offsets.openTransaction(request);
    // Who may not commit takes no part, and makes the group part of nothing.
    const refused = group === undefined ? undefined : offsets.transactionProblem(group, request);
    if (refused !== undefined) return refused;
    return open === undefined ? this.#joinAndWrite(request) : this.#write(request, open.startedAtMs);
  }

  async #joinAndWrite(request: CommitTransactionOffsetsRequest): Promise<CommitResult> {
    const { registration } = this.#around;
    const joining = { decidedAtMs: Number.NEGATIVE_INFINITY };
    const ofProducer = this.#joining.get(request.producerId) ?? new Set();
    this.#joining.set(request.producerId, ofProducer.add(joining));
    try {
      const joined = await this.#join(request);
      if (isFailure(joined)) return joined;
      while (!registration.isOpen) await registration.open();
      // The clock of the transactional id tells an outcome of this transaction from a late copy of an earlier one.
      if (joined.startedAtMs < joining.decidedAtMs) {
        return failure("INVALID_TXN_STATE", "the transaction ended before its offsets could be written");
      }
      return this.#write(request, joined.startedAtMs);
    } finally {
      ofProducer.delete(joining);
      if (ofProducer.size === 0) this.#joining.delete(request.producerId);
    }
  }

  async #join(request: CommitTransactionOffsetsRequest): Promise<JoinedTransaction | Failure> {
    const { transactionalId, producerId, producerEpoch, adds } = request;
    const participant = { kind: "group", groupId: this.#around.current.groupId } as const;
    try {
      return await this.#around.joinTransaction(transactionalId, {
        producerId,
        producerEpoch,
        participant,
        adds,
      });
    } catch (error) {
      console.warn("the coordinator of a transaction could not be asked, the producer asks again:", error);
      return failure(
        "COORDINATOR_LOAD_IN_PROGRESS",
        "the transaction's coordinator could not be asked; retry",
      );
    }
  }

  #write(request: CommitTransactionOffsetsRequest, startedAtMs: number): CommitResult {
    const { change, context, current, offsets } = this.#around;
    return change(() => {
      const problem = this.#groupProblem(request);
      if (problem !== undefined) return problem;
      // Offsets without a group make a group that only holds offsets.
      const group = current.value ?? current.makeClassic(context);
      return offsets.commitInTransaction(group, request, startedAtMs);
    });
  }

  #groupProblem({ generation }: CommitTransactionOffsetsRequest): Failure | undefined {
    const { current } = this.#around;
    if (current.value !== undefined || generation < 0) return undefined;
    return current.noGroup("GROUP_ID_NOT_FOUND");
  }

  /** A group that has no offsets of the transaction, or none any more, has nothing to do. */
  async writeMarker(outcome: TransactionOutcome): Promise<Failure | null> {
    const { change, current, offsets, store } = this.#around;
    for (const joining of this.#joining.get(outcome.producerId) ?? []) {
      joining.decidedAtMs = Math.max(joining.decidedAtMs, outcome.decidedAtMs);
    }
    // An object that has been replaced must not answer for the one that has the offsets.
    store.confirmUniqueness();
    if (current.value !== undefined) change(() => offsets.decide(outcome));
    return null;
  }
}
