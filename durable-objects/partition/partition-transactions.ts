/**
 * The transactions of one partition (KIP-98, KIP-890): who may write for one, which are undecided, which were aborted.
 *
 * A transaction is undecided from when its first batch is given an offset until its marker is *written*, so the last
 * stable offset never runs ahead of the log end.
 */

import type { AbortedTransaction } from "../../src/log/committed-batches.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { JoinedTransaction, JoinTransactionRequest, ProducerIdentity } from "../transaction/rpc.ts";
import { AbortedTransactions } from "./aborted-transactions.ts";
import type { ProducerStates } from "./producer-states.ts";
import type { TransactionOfBatch } from "./rpc.ts";
import type { LogStorage } from "./storage.ts";

/** The coordinators of transactions, as a leader asks them. */
export interface TransactionSource {
  joinTransaction(
    transactionalId: string,
    request: JoinTransactionRequest,
  ): Promise<JoinedTransaction | Failure>;
}

/** What a marker says, once it has its place in the log. */
export interface EndedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  readonly committed: boolean;
}

export class PartitionTransactions {
  readonly #partition: { readonly topicId: TopicId; readonly partition: number };
  readonly #producers: ProducerStates;
  readonly #source: TransactionSource;
  readonly #aborted: AbortedTransactions;
  /** First offsets, in order: a later transaction begins at a higher offset. */
  #undecided = new Set<number>();
  readonly #joins = new Map<string, Promise<JoinedTransaction | Failure>>();

  constructor(
    partition: { readonly topicId: TopicId; readonly partition: number },
    storage: LogStorage,
    producers: ProducerStates,
    source: TransactionSource,
  ) {
    this.#partition = partition;
    this.#producers = producers;
    this.#source = source;
    this.#aborted = new AbortedTransactions(storage);
  }

  /** To be called when the producers' state is that of the log end. */
  recover(): void {
    this.#aborted.recover();
    this.#undecided = new Set(this.#producers.transactionStarts());
  }

  /**
   * Asks the coordinator of a producer without an open transaction here whether it may begin to write for one. Those who
   * ask for the same producer meanwhile get the same answer, in the order in which they came.
   *
   * What the coordinator answers; COORDINATOR_NOT_AVAILABLE.
   */
  async join(
    { producerId, producerEpoch }: ProducerIdentity,
    { transactionalId, adds }: TransactionOfBatch,
  ): Promise<JoinedTransaction | Failure> {
    const key = `${producerId}/${producerEpoch}/${adds}/${transactionalId}`;
    let answer = this.#joins.get(key);
    if (answer === undefined) {
      const participant = { kind: "partition" as const, ...this.#partition };
      answer = this.#join(transactionalId, { producerId, producerEpoch, participant, adds });
      this.#joins.set(key, answer);
    }
    const joined = await answer;
    if (this.#joins.get(key) === answer) this.#joins.delete(key);
    return joined;
  }

  /** INVALID_TXN_STATE: what was joined has ended meanwhile. To be asked in the turn in which the batch is written. */
  endedProblem({ producerId }: ProducerIdentity, { startedAtMs }: JoinedTransaction): Failure | undefined {
    if (this.#producers.markerAtMs(producerId) < startedAtMs) return undefined;
    return failure("INVALID_TXN_STATE", `the transaction of producer ${producerId} has ended meanwhile`);
  }

  async #join(
    transactionalId: string,
    request: JoinTransactionRequest,
  ): Promise<JoinedTransaction | Failure> {
    try {
      return await this.#source.joinTransaction(transactionalId, request);
    } catch (error) {
      console.warn(`the coordinator of ${JSON.stringify(transactionalId)} could not be asked:`, error);
      return failure(
        "COORDINATOR_NOT_AVAILABLE",
        "the coordinator of the transaction could not be asked; retry",
      );
    }
  }

  /** A transaction's first batch has been given this offset. */
  begin(firstOffset: number): void {
    this.#undecided.add(firstOffset);
  }

  /** Its marker is being written at `lastOffset`; within the same storage transaction. */
  end({ producerId, firstOffset, committed }: EndedTransaction, lastOffset: number): void {
    this.#undecided.delete(firstOffset);
    if (committed) return;
    const lastStableOffset = Math.min(this.#firstUndecided ?? lastOffset + 1, lastOffset + 1);
    this.#aborted.add({ producerId, firstOffset, lastOffset, lastStableOffset });
  }

  /** What a read_committed reader may see of the log between these two. */
  lastStableOffset(logStartOffset: number, logEndOffset: number): number {
    return Math.max(logStartOffset, Math.min(this.#firstUndecided ?? logEndOffset, logEndOffset));
  }

  /** False: a reader need not say to where it has read. */
  get anyAborted(): boolean {
    return !this.#aborted.isEmpty;
  }

  abortedBetween(from: number, to: number): AbortedTransaction[] {
    return this.#aborted.between(from, to);
  }

  forgetBefore(logStartOffset: number): void {
    this.#aborted.forgetBefore(logStartOffset);
  }

  get #firstUndecided(): number | undefined {
    const [first] = this.#undecided;
    return first;
  }
}
