/**
 * The coordinator of one transactional id. What it decides is one synchronous transaction of its storage; whoever took
 * part in a Kafka transaction is told after that is durable, because the platform's output gate holds the calls. So a
 * coordinator that is lost in between finds the decision when it wakes, and tells it again.
 */

import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { inTime } from "../../src/model/in-time.ts";
import {
  TRANSACTION_COMPLETION_WAIT_MS,
  TRANSACTION_RESUME_MS,
  TRANSACTION_TIMEOUT_MS_MAX,
  TRANSACTIONAL_ID_EXPIRATION_MS,
} from "../../src/model/limits.ts";
import { ProducerIds } from "../../src/model/producer-ids.ts";
import type { ProducerIdBlock } from "../controller/rpc.ts";
import { Timers } from "../group/timers.ts";
import type { Clock, LogStorage } from "../partition/storage.ts";
import { deliverOutcome, type Participants, participantsOf } from "./outcome-delivery.ts";
import type {
  AddGroupRequest,
  AddPartitionsRequest,
  EndTransactionRequest,
  InitProducerIdRequest,
  JoinedTransaction,
  JoinTransactionRequest,
  Participant,
  ProducerIdentity,
  TransactionDescription,
  TransactionRpc,
} from "./rpc.ts";
import {
  completed,
  end,
  fence,
  identityOf,
  initialize,
  isPrepared,
  outcomeOf,
  type Step,
  type Transaction,
  takesPart,
  tick,
  withParticipants,
  writeProblem,
} from "./transaction.ts";
import { TransactionStore } from "./transaction-store.ts";

export interface CoordinatorSurroundings extends Participants {
  readonly storage: LogStorage;
  readonly clock: Clock;
  /** Producer ids that nobody else has or will have. The Controller lists the transactional id from then on. */
  openTransactionalId(): Promise<ProducerIdBlock>;
  /** The Controller lists it no longer. */
  closeTransactionalId(): Promise<void>;
}

/** What is due: a transaction's timeout, those who are still to be told, or the end of an id that is not used. */
const NEXT = "next";

export class Coordinator implements TransactionRpc {
  readonly transactionalId: string;
  readonly timers: Timers;
  readonly #around: CoordinatorSurroundings;
  readonly #store: TransactionStore;
  #transaction: Transaction | undefined;
  #producerIds = new ProducerIds();
  #completing: Promise<void> | undefined;
  /** Of those who took part in the transaction that is decided; undefined: nobody has been told yet. */
  #untold: readonly Participant[] | undefined;

  constructor(transactionalId: string, around: CoordinatorSurroundings) {
    this.transactionalId = transactionalId;
    this.#around = around;
    this.#store = new TransactionStore(around.storage);
    this.timers = new Timers((atMs) => around.storage.setAlarm(atMs));
    this.#transaction = this.#store.load();
    // Whoever was telling how a transaction ended is no more.
    this.#schedule(0);
  }

  async initProducerId({
    transactionTimeoutMs: timeoutMs,
    current,
  }: InitProducerIdRequest): Promise<ProducerIdentity | Failure> {
    if (!(timeoutMs > 0 && timeoutMs <= TRANSACTION_TIMEOUT_MS_MAX)) {
      return failure(
        "INVALID_TRANSACTION_TIMEOUT",
        `a transaction may take from 1 to ${TRANSACTION_TIMEOUT_MS_MAX} ms, not ${timeoutMs}`,
      );
    }
    let expected = current;
    return this.#run((newProducerId) => {
      const step = initialize(
        this.#transaction,
        { timeoutMs, current: expected, newProducerId },
        this.#tick(),
      );
      if (step.kind !== "next" || !isPrepared(step.next)) return step;
      this.#change(step.next);
      // Who has been found to be the producer stays it while its transaction is being aborted.
      if (expected !== null) expected = step.identity;
      return { kind: "completing" };
    });
  }

  async addPartitions({ topics, ...producer }: AddPartitionsRequest): Promise<Failure | null> {
    const participants = topics.flatMap(({ topicId, partitions }) =>
      partitions.map((partition) => ({ kind: "partition" as const, topicId, partition })),
    );
    const added = this.#add(producer, participants);
    return isFailure(added) ? added : null;
  }

  async addGroup({ groupId, ...producer }: AddGroupRequest): Promise<Failure | null> {
    const added = this.#add(producer, [{ kind: "group", groupId }]);
    return isFailure(added) ? added : null;
  }

  async join({
    participant,
    adds,
    ...producer
  }: JoinTransactionRequest): Promise<JoinedTransaction | Failure> {
    if (adds) return this.#add(producer, [participant]);
    const transaction = this.#writable(producer);
    if (isFailure(transaction)) return transaction;
    if (takesPart(transaction, participant)) return { startedAtMs: transaction.startedAtMs };
    return failure(
      "TRANSACTION_ABORTABLE",
      `what is to be written to has not been added to the transaction of ${JSON.stringify(this.transactionalId)}`,
    );
  }

  endTransaction(request: EndTransactionRequest): Promise<ProducerIdentity | Failure> {
    return this.#run((newProducerId) => end(this.#transaction, { ...request, newProducerId }, this.#tick()));
  }

  async describe(): Promise<TransactionDescription | Failure> {
    this.#store.confirmUniqueness();
    if (this.#transaction === undefined) {
      return failure(
        "TRANSACTIONAL_ID_NOT_FOUND",
        `there is no transactional id ${JSON.stringify(this.transactionalId)}`,
      );
    }
    const { state, timeoutMs, startedAtMs, topics, groupIds } = this.#transaction;
    const identity = identityOf(this.#transaction);
    return { ...identity, state, transactionTimeoutMs: timeoutMs, startedAtMs, topics, groupIds };
  }

  /** Does what is due. To be called by the alarm. */
  async runDue(): Promise<void> {
    const nowMs = this.#around.clock.now();
    while (this.timers.takeDue(nowMs) !== undefined) await this.#doDue(nowMs);
  }

  async #doDue(nowMs: number): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    const { state, startedAtMs, timeoutMs, changedAtMs } = transaction;
    try {
      if (state === "Ongoing" && nowMs >= startedAtMs + timeoutMs)
        this.#change(fence(transaction, this.#tick()));
      else if (!isPrepared(transaction) && nowMs >= changedAtMs + TRANSACTIONAL_ID_EXPIRATION_MS) {
        await this.#forget(transaction);
      }
    } finally {
      // What could not be done is due still.
      this.#schedule();
    }
    await this.#complete();
  }

  /** What was not used for so long that nobody knows it any more. */
  async #forget(unused: Transaction): Promise<void> {
    await this.#around.closeTransactionalId();
    if (this.#transaction === unused) {
      this.#around.storage.transactionSync(() => this.#store.drop());
      this.#transaction = undefined;
      // Who comes next is to be listed.
      this.#producerIds = new ProducerIds();
    } else {
      // It was used meanwhile after all, and must be listed.
      await this.#around.openTransactionalId();
    }
  }

  // ── deciding ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes a step, after what it needs; waits until what it decides has been told. CONCURRENT_TRANSACTIONS: not in time. */
  async #run(step: (newProducerId: number | undefined) => Step): Promise<ProducerIdentity | Failure> {
    const deadlineMs = this.#around.clock.now() + TRANSACTION_COMPLETION_WAIT_MS;
    let newProducerId: number | undefined;
    for (;;) {
      const taken = step(newProducerId);
      switch (taken.kind) {
        case "refused":
          this.#store.confirmUniqueness();
          return taken.failure;
        case "done":
          this.#store.confirmUniqueness();
          return taken.identity;
        case "needs producer id":
          newProducerId = await this.#producerIds.allocate(() => this.#around.openTransactionalId());
          break;
        case "completing":
          if (!(await this.#completed(deadlineMs - this.#around.clock.now()))) return stillCompleting();
          break;
        case "next":
          this.#change(taken.next);
          if (isPrepared(taken.next)) await this.#completed(deadlineMs - this.#around.clock.now());
          return taken.identity;
      }
    }
  }

  #add(producer: ProducerIdentity, participants: readonly Participant[]): JoinedTransaction | Failure {
    const transaction = this.#writable(producer);
    if (isFailure(transaction)) return transaction;
    if (!participants.every((participant) => takesPart(transaction, participant))) {
      const added = withParticipants(transaction, participants, this.#tick());
      if (isFailure(added)) return added;
      this.#change(added);
      return { startedAtMs: added.startedAtMs };
    }
    return { startedAtMs: transaction.startedAtMs };
  }

  #writable(producer: ProducerIdentity): Transaction | Failure {
    this.#store.confirmUniqueness();
    const problem = writeProblem(this.#transaction, producer);
    if (problem === "completing") {
      void this.#complete();
      return stillCompleting();
    }
    if (problem !== undefined) return problem;
    if (this.#transaction === undefined) throw new Error("a blank coordinator has no producer");
    return this.#transaction;
  }

  #tick(): number {
    return tick(this.#transaction, this.#around.clock.now());
  }

  #change(transaction: Transaction): void {
    this.#around.storage.transactionSync(() => {
      this.#store.save(this.transactionalId, transaction);
      this.#transaction = transaction;
      this.#schedule();
    });
  }

  /** `resumeMs`: when what is decided is told again, if it is not told by then. */
  #schedule(resumeMs: number = TRANSACTION_RESUME_MS): void {
    this.timers.cancel(NEXT);
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    const { state, startedAtMs, timeoutMs, changedAtMs } = transaction;
    const dueMs = isPrepared(transaction)
      ? this.#around.clock.now() + resumeMs
      : state === "Ongoing"
        ? startedAtMs + timeoutMs
        : changedAtMs + TRANSACTIONAL_ID_EXPIRATION_MS;
    this.timers.set(NEXT, dueMs);
  }

  // ── completing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async #completed(waitMs: number): Promise<boolean> {
    await inTime(this.#complete(), Math.max(0, waitMs), () => undefined);
    return this.#transaction === undefined || !isPrepared(this.#transaction);
  }

  /** Tells who took part in a transaction that is decided. Never rejects; what is left is told by the alarm. */
  #complete(): Promise<void> {
    this.#completing ??= this.#completeOnce().finally(() => {
      this.#completing = undefined;
    });
    return this.#completing;
  }

  async #completeOnce(): Promise<void> {
    const prepared = this.#transaction;
    if (prepared === undefined || !isPrepared(prepared)) return;
    const untold = this.#untold ?? participantsOf(prepared);
    this.#untold = await deliverOutcome(outcomeOf(prepared), untold, this.#around);
    if (this.#untold.length > 0) return;
    this.#untold = undefined;
    this.#change(completed(prepared, this.#tick()));
  }
}

function stillCompleting(): Failure {
  return failure("CONCURRENT_TRANSACTIONS", "the last transaction is still being completed; retry");
}
