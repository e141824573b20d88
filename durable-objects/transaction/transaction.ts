/**
 * The life of a transactional id as plain values (Kafka's `TransactionMetadata`, KIP-98, KIP-360, KIP-890): what it is, and
 * what each request makes of it. Every function takes what is and returns what comes next; none knows of time or storage.
 */

import { type Failure, failure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { TRANSACTION_GROUPS_MAX, TRANSACTION_PARTITIONS_MAX } from "../../src/model/limits.ts";
import type {
  EndTransactionRequest,
  Participant,
  PartitionsOfTopic,
  ProducerIdentity,
  TransactionOutcome,
  TransactionState,
} from "./rpc.ts";

/** In place of an id, an epoch or a time. */
export const NONE = -1;
const EPOCH_MAX = 2 ** 15 - 1;

export interface Transaction extends ProducerIdentity {
  readonly state: TransactionState;
  /** The epoch before the last bump that the producer was told of: one who shows it repeats a request. */
  readonly lastProducerEpoch: number;
  /** The epoch at which the last transaction was ended, by its producer or for it: one below now if that raised it. */
  readonly endedEpoch: number;
  /** The producer id before its epochs ran out. */
  readonly previousProducerId: number;
  /** The producer's id from the end of this transaction on, where its epochs run out with it. */
  readonly nextProducerId: number;
  readonly timeoutMs: number;
  /** By this transactional id's own clock, on which no two times are the same; NONE: there is no transaction. */
  readonly startedAtMs: number;
  readonly decidedAtMs: number;
  /** The latest time on that clock. */
  readonly changedAtMs: number;
  readonly topics: readonly PartitionsOfTopic[];
  readonly groupIds: readonly string[];
}

/** What comes next, and what the producer is told; or that a new producer id is needed for it. */
export type Step =
  | { readonly kind: "next"; readonly next: Transaction; readonly identity: ProducerIdentity }
  | { readonly kind: "needs producer id" }
  /** Nothing changes: it has been done before. */
  | { readonly kind: "done"; readonly identity: ProducerIdentity }
  /** The last transaction must be completed first. */
  | { readonly kind: "completing" }
  | { readonly kind: "refused"; readonly failure: Failure };

const BLANK: Omit<Transaction, "timeoutMs" | "changedAtMs"> = {
  state: "Empty",
  producerId: NONE,
  producerEpoch: NONE,
  lastProducerEpoch: NONE,
  endedEpoch: NONE,
  previousProducerId: NONE,
  nextProducerId: NONE,
  startedAtMs: NONE,
  decidedAtMs: NONE,
  topics: [],
  groupIds: [],
};

/** The clock's next time. */
export function tick(transaction: Transaction | undefined, nowMs: number): number {
  return Math.max(Math.floor(nowMs), (transaction?.changedAtMs ?? NONE) + 1);
}

export function isPrepared({ state }: Transaction): boolean {
  return state === "PrepareCommit" || state === "PrepareAbort";
}

/** What those who took part in a transaction that is decided are told. */
export function outcomeOf({
  producerId,
  producerEpoch,
  state,
  decidedAtMs,
}: Transaction): TransactionOutcome {
  return { producerId, producerEpoch, committed: state === "PrepareCommit", decidedAtMs };
}

export function identityOf({ producerId, producerEpoch }: ProducerIdentity): ProducerIdentity {
  return { producerId, producerEpoch };
}

// ── a producer begins ──────────────────────────────────────────────────────────────────────────────────────────────

export interface Initialization {
  readonly timeoutMs: number;
  readonly current: ProducerIdentity | null;
  /** Fetched if a step before said that one is needed. */
  readonly newProducerId: number | undefined;
}

/** InitProducerId. An open transaction is aborted first, at an epoch that nobody else is told. */
export function initialize(
  transaction: Transaction | undefined,
  { timeoutMs, current, newProducerId }: Initialization,
  atMs: number,
): Step {
  const known = transaction ?? { ...BLANK, timeoutMs, changedAtMs: NONE };
  if (current !== null && !mayGoOn(known, current)) return refused(fenced(current));
  if (isPrepared(known)) return { kind: "completing" };
  if (known.state === "Ongoing") {
    const isAnother = current !== null && current.producerEpoch !== known.producerEpoch;
    return isAnother ? refused(fenced(current)) : next(fence(known, atMs));
  }
  const begin = (identity: ProducerIdentity, lastProducerEpoch: number, previousProducerId: number): Step =>
    next({
      ...known,
      ...identity,
      state: "Empty",
      lastProducerEpoch,
      endedEpoch: NONE,
      previousProducerId,
      nextProducerId: NONE,
      timeoutMs,
      startedAtMs: NONE,
      changedAtMs: atMs,
    });
  const { producerId, producerEpoch, lastProducerEpoch, previousProducerId } = known;
  const isNewest = current === null || producerEpoch === NONE || current.producerEpoch === producerEpoch;
  if (producerId === NONE || (isExhausted(producerEpoch) && isNewest)) {
    if (newProducerId === undefined) return { kind: "needs producer id" };
    const last = current === null ? NONE : producerEpoch;
    return begin({ producerId: newProducerId, producerEpoch: 0 }, last, producerId);
  }
  const bumped = { producerId, producerEpoch: producerEpoch + 1 };
  if (current === null) return begin(bumped, NONE, previousProducerId);
  if (isNewest) return begin(bumped, producerEpoch, previousProducerId);
  // Its answer was lost: nobody else can have asked since, because that would have forgotten the last epoch.
  if (current.producerEpoch === lastProducerEpoch) return { kind: "done", identity: identityOf(known) };
  return refused(fenced(current));
}

function mayGoOn(known: Transaction, { producerId, producerEpoch }: ProducerIdentity): boolean {
  if (known.producerEpoch === NONE || producerId === known.producerId) return true;
  return producerId === known.previousProducerId && isExhausted(producerEpoch);
}

// ── a transaction ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Why a producer may not add to its transaction; "completing": not yet. */
export function writeProblem(
  transaction: Transaction | undefined,
  producer: ProducerIdentity,
): Failure | "completing" | undefined {
  if (transaction === undefined || transaction.producerId !== producer.producerId) return unknown(producer);
  if (transaction.producerEpoch !== producer.producerEpoch) return fenced(producer);
  return isPrepared(transaction) ? "completing" : undefined;
}

export function takesPart({ state, topics, groupIds }: Transaction, participant: Participant): boolean {
  if (state !== "Ongoing") return false;
  if (participant.kind === "group") return groupIds.includes(participant.groupId);
  const { topicId, partition } = participant;
  return topics.find((topic) => topic.topicId === topicId)?.partitions.includes(partition) ?? false;
}

/** With these taking part, which begins a transaction if there is none; INVALID_REQUEST: they are too many. */
export function withParticipants(
  transaction: Transaction,
  participants: readonly Participant[],
  atMs: number,
): Transaction | Failure {
  const isOngoing = transaction.state === "Ongoing";
  const topics = new Map<TopicId, Set<number>>();
  const groupIds = new Set<string>();
  if (isOngoing) {
    for (const { topicId, partitions } of transaction.topics) topics.set(topicId, new Set(partitions));
    for (const groupId of transaction.groupIds) groupIds.add(groupId);
  }
  for (const participant of participants) {
    if (participant.kind === "group") groupIds.add(participant.groupId);
    else {
      const { topicId, partition } = participant;
      topics.set(topicId, (topics.get(topicId) ?? new Set<number>()).add(partition));
    }
  }
  const partitions = [...topics.values()].reduce((sum, { size }) => sum + size, 0);
  if (partitions > TRANSACTION_PARTITIONS_MAX || groupIds.size > TRANSACTION_GROUPS_MAX) {
    return failure(
      "INVALID_REQUEST",
      `a transaction writes to at most ${TRANSACTION_PARTITIONS_MAX} partitions and ${TRANSACTION_GROUPS_MAX} groups`,
    );
  }
  return {
    ...transaction,
    state: "Ongoing",
    startedAtMs: isOngoing ? transaction.startedAtMs : atMs,
    decidedAtMs: isOngoing ? transaction.decidedAtMs : NONE,
    changedAtMs: atMs,
    topics: [...topics].map(([topicId, indexes]) => ({ topicId, partitions: [...indexes] })),
    groupIds: [...groupIds],
  };
}

/** EndTxn, as both of its protocols have it. */
export function end(
  transaction: Transaction | undefined,
  request: EndTransactionRequest & { readonly newProducerId: number | undefined },
  atMs: number,
): Step {
  if (transaction === undefined) return refused(unknown(request));
  return request.bumpsEpoch ? endAndBump(transaction, request, atMs) : endOnly(transaction, request, atMs);
}

function endOnly(transaction: Transaction, request: EndTransactionRequest, atMs: number): Step {
  const { state } = transaction;
  const { committed } = request;
  if (transaction.producerId !== request.producerId) return refused(unknown(request));
  if (transaction.producerEpoch !== request.producerEpoch) return refused(fenced(request));
  if (state === "Ongoing") return next(decided(transaction, committed, atMs));
  if (state === (committed ? "CompleteCommit" : "CompleteAbort"))
    return { kind: "done", identity: identityOf(transaction) };
  if (state === (committed ? "PrepareCommit" : "PrepareAbort")) return { kind: "completing" };
  return refused(wrongState(transaction, committed));
}

/** The epoch rises with every end, so that a retry is told from a request of the next transaction (KIP-890). */
function endAndBump(
  transaction: Transaction,
  request: EndTransactionRequest & { readonly newProducerId: number | undefined },
  atMs: number,
): Step {
  const { state, producerId, producerEpoch, endedEpoch, previousProducerId } = transaction;
  const { committed, newProducerId } = request;
  const isAfterBump =
    request.producerId === producerId && request.producerEpoch === endedEpoch && endedEpoch < producerEpoch;
  const isAfterRotation =
    request.producerId === previousProducerId &&
    request.producerEpoch === EPOCH_MAX - 1 &&
    producerEpoch === 0;
  const isRetry = isAfterBump || isAfterRotation;
  if (request.producerId !== producerId && !isAfterRotation) return refused(unknown(request));
  if (request.producerEpoch !== producerEpoch && !isRetry) return refused(fenced(request));
  if (isPrepared(transaction)) {
    if (state !== (committed ? "PrepareCommit" : "PrepareAbort"))
      return refused(wrongState(transaction, committed));
    return { kind: "completing" };
  }
  if (isRetry) {
    // Of its own accord it would have come to another id: its transaction was ended for it, and no epoch is left.
    if (producerEpoch === EPOCH_MAX) return refused(fenced(request));
    if (state === (committed ? "CompleteCommit" : "CompleteAbort"))
      return { kind: "done", identity: identityOf(transaction) };
    const wasOther = state === "CompleteCommit" || state === "CompleteAbort";
    return refused(wasOther ? wrongState(transaction, committed) : fenced(request));
  }
  // A producer may abort what it has not begun, for the epoch's sake.
  if (state !== "Ongoing" && committed) return refused(wrongState(transaction, committed));
  const isLast = isExhausted(producerEpoch);
  if (isLast && newProducerId === undefined) return { kind: "needs producer id" };
  const ended = decided(transaction, committed, atMs);
  const bumped: Transaction = {
    ...ended,
    producerEpoch: producerEpoch + 1,
    lastProducerEpoch: producerEpoch,
    nextProducerId: isLast ? (newProducerId ?? NONE) : NONE,
  };
  return { kind: "next", next: bumped, identity: identityOf(completed(bumped, atMs)) };
}

/** Aborted because it took too long, or because another producer begins: at an epoch that its producer does not have. */
export function fence(transaction: Transaction, atMs: number): Transaction {
  const aborted = decided(transaction, false, atMs);
  return { ...aborted, producerEpoch: transaction.producerEpoch + 1, lastProducerEpoch: NONE };
}

function decided(transaction: Transaction, committed: boolean, atMs: number): Transaction {
  const isOngoing = transaction.state === "Ongoing";
  return {
    ...transaction,
    state: committed ? "PrepareCommit" : "PrepareAbort",
    endedEpoch: transaction.producerEpoch,
    topics: isOngoing ? transaction.topics : [],
    groupIds: isOngoing ? transaction.groupIds : [],
    decidedAtMs: atMs,
    changedAtMs: atMs,
  };
}

/** All who took part in it have been told. */
export function completed(transaction: Transaction, atMs: number): Transaction {
  const { state, nextProducerId, producerId } = transaction;
  const done: Transaction = {
    ...transaction,
    state: state === "PrepareCommit" ? "CompleteCommit" : "CompleteAbort",
    startedAtMs: NONE,
    changedAtMs: atMs,
    topics: [],
    groupIds: [],
  };
  if (nextProducerId === NONE) return done;
  return {
    ...done,
    producerId: nextProducerId,
    producerEpoch: 0,
    previousProducerId: producerId,
    nextProducerId: NONE,
  };
}

// ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────────

function next(transaction: Transaction): Step {
  return { kind: "next", next: transaction, identity: identityOf(transaction) };
}

function refused(failed: Failure): Step {
  return { kind: "refused", failure: failed };
}

/** No epoch is left that the producer could be given: the last one is for fencing it. */
function isExhausted(producerEpoch: number): boolean {
  return producerEpoch >= EPOCH_MAX - 1;
}

function unknown({ producerId }: ProducerIdentity): Failure {
  return failure(
    "INVALID_PRODUCER_ID_MAPPING",
    `the transactional id does not have producer id ${producerId}; initialise the producer`,
  );
}

function fenced({ producerId, producerEpoch }: ProducerIdentity): Failure {
  return failure(
    "PRODUCER_FENCED",
    `epoch ${producerEpoch} of producer ${producerId} has been taken over by another`,
  );
}

function wrongState({ state }: Transaction, committed: boolean): Failure {
  return failure(
    "INVALID_TXN_STATE",
    `a transaction that is ${state} cannot be ${committed ? "committed" : "aborted"}`,
  );
}
