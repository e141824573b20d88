/**
 * What the leader remembers of producers with an id, so that a retry is recognised and a gap refused (Kafka's
 * `ProducerStateManager`, KIP-98): of each its epoch, its last five batches, and its transaction.
 *
 * It is ahead of the log by the batches that wait to be written.
 */

import type { BatchHeader } from "../../src/log/batch-header.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import {
  OPEN_TRANSACTIONS_PER_PARTITION_MAX,
  PRODUCER_BATCHES_KEPT,
  PRODUCER_EXPIRATION_MS,
  PRODUCERS_PER_PARTITION_MAX,
} from "../../src/model/limits.ts";
import { decodeProducers, encodeProducers } from "./producer-snapshot.ts";
import type { ActiveProducer } from "./rpc.ts";

export interface ProducedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  /** ms; the leader's time if the topic uses LogAppendTime. */
  readonly timestampMs: number;
}

export interface ProducerState {
  readonly epoch: number;
  /** Oldest first, at most PRODUCER_BATCHES_KEPT. */
  readonly batches: ProducedBatch[];
  lastWriteMs: number;
  /** Offset of the first record of its open transaction; undefined: none is open here. */
  transactionStart: number | undefined;
  /** When its last transaction here was decided, by the coordinator's clock; -1: none was. */
  markerAtMs: number;
}

type ProducedHeader = Pick<
  BatchHeader,
  "producerId" | "producerEpoch" | "baseSequence" | "lastSequence" | "isTransactional"
>;

/** A marker, by its batch's header or before it has one. */
export interface ProducerMarker {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly decidedAtMs: number;
}

const SEQUENCE_MAX = 2 ** 31 - 1;

export class ProducerStates {
  /** In order of last write, so that the first is the one to forget. */
  readonly #producers = new Map<number, ProducerState>();
  #openTransactions = 0;

  get size(): number {
    return this.#producers.size;
  }

  /** Whether a batch of this producer would go on with a transaction that it has here already. */
  hasOpenTransaction({ producerId, producerEpoch }: ProducedHeader): boolean {
    const state = this.#producers.get(producerId);
    return state?.epoch === producerEpoch && state.transactionStart !== undefined;
  }

  /** When the producer's last transaction here was decided; -1: none was. */
  markerAtMs(producerId: number): number {
    return this.#producers.get(producerId)?.markerAtMs ?? -1;
  }

  /** The batch as it was stored, if this is a retry; a failure if it may not be appended; undefined if it may. */
  check(batch: ProducedHeader): ProducedBatch | Failure | undefined {
    const { producerId, producerEpoch, baseSequence } = batch;
    const state = this.#producers.get(producerId);
    if (state === undefined) return this.#roomProblem(batch);
    if (producerEpoch < state.epoch) {
      return failure(
        "INVALID_PRODUCER_EPOCH",
        `producer ${producerId} writes with epoch ${producerEpoch}, but epoch ${state.epoch} has written; get a new producer id`,
      );
    }
    // A higher epoch would be one that the transaction's marker does not have.
    const isOutside = !batch.isTransactional && state.transactionStart !== undefined;
    if (producerEpoch > state.epoch) {
      if (isOutside) return outsideOfTransaction(producerId);
      if (baseSequence === 0) return this.#roomProblem(batch);
      return failure(
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        `producer ${producerId} begins epoch ${producerEpoch} with sequence ${baseSequence} instead of 0`,
      );
    }
    const stored = state.batches.find(
      (known) => known.firstSequence === baseSequence && known.lastSequence === batch.lastSequence,
    );
    if (stored !== undefined) return stored;
    if (isOutside) return outsideOfTransaction(producerId);
    const last = state.batches.at(-1)?.lastSequence ?? -1;
    const expected = last === SEQUENCE_MAX ? 0 : last + 1;
    if (baseSequence === expected) return this.#roomProblem(batch);
    return failure(
      "OUT_OF_ORDER_SEQUENCE_NUMBER",
      `producer ${producerId} sends sequence ${baseSequence}, but ${expected} comes next`,
    );
  }

  /** Takes note of an appended batch. True if it begins a transaction. */
  update(batch: ProducedHeader, baseOffset: number, timestampMs: number, nowMs: number): boolean {
    const state = this.#touch(batch, nowMs);
    state.batches.push({
      firstSequence: batch.baseSequence,
      lastSequence: batch.lastSequence,
      baseOffset,
      timestampMs,
    });
    if (state.batches.length > PRODUCER_BATCHES_KEPT) state.batches.shift();
    const begins = batch.isTransactional && state.transactionStart === undefined;
    if (begins) {
      state.transactionStart = baseOffset;
      this.#openTransactions++;
    }
    this.#forgetOldest();
    return begins;
  }

  /** INVALID_PRODUCER_EPOCH: it is of a producer that another one has taken over from. */
  markerProblem({ producerId, producerEpoch }: ProducerMarker): Failure | undefined {
    const epoch = this.#producers.get(producerId)?.epoch ?? -1;
    if (producerEpoch >= epoch) return undefined;
    return failure(
      "INVALID_PRODUCER_EPOCH",
      `a marker of producer ${producerId} has epoch ${producerEpoch}, but epoch ${epoch} has written`,
    );
  }

  /** Takes note of an appended marker; the first offset of the transaction that it ends, or undefined. */
  mark(marker: ProducerMarker, nowMs: number): number | undefined {
    const start = this.#producers.get(marker.producerId)?.transactionStart;
    const state = this.#touch(marker, nowMs);
    state.markerAtMs = marker.decidedAtMs;
    state.transactionStart = undefined;
    if (start !== undefined) this.#openTransactions--;
    this.#forgetOldest();
    return start;
  }

  /** Producers without an open transaction that have not written for long. */
  expire(nowMs: number): void {
    for (const [producerId, state] of this.#producers) {
      if (state.lastWriteMs >= nowMs - PRODUCER_EXPIRATION_MS) return;
      if (state.transactionStart === undefined) this.#producers.delete(producerId);
    }
  }

  /** The first offsets of all open transactions, in order. */
  transactionStarts(): number[] {
    return [...this.#producers.values()]
      .flatMap(({ transactionStart }) => (transactionStart === undefined ? [] : [transactionStart]))
      .sort((a, b) => a - b);
  }

  list(): ActiveProducer[] {
    return [...this.#producers].map(([producerId, state]) => ({
      producerId,
      producerEpoch: state.epoch,
      lastSequence: state.batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: state.batches.at(-1)?.timestampMs ?? state.markerAtMs,
      coordinatorEpoch: state.markerAtMs < 0 ? -1 : 0,
      currentTransactionStartOffset: state.transactionStart ?? -1,
    }));
  }

  /** The whole state in chunks that fit a row each; at least one. */
  snapshot(): Uint8Array[] {
    return encodeProducers([...this.#producers]);
  }

  restore(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      for (const [producerId, state] of decodeProducers(chunk)) {
        this.#producers.set(producerId, state);
        if (state.transactionStart !== undefined) this.#openTransactions++;
      }
    }
  }

  /** The producer's state at this epoch, as the last one that has written. */
  #touch(
    { producerId, producerEpoch }: Pick<ProducerMarker, "producerId" | "producerEpoch">,
    nowMs: number,
  ): ProducerState {
    const known = this.#producers.get(producerId);
    const state: ProducerState =
      known?.epoch === producerEpoch
        ? known
        : {
            epoch: producerEpoch,
            batches: [],
            lastWriteMs: nowMs,
            transactionStart: known?.transactionStart,
            markerAtMs: known?.markerAtMs ?? -1,
          };
    state.lastWriteMs = nowMs;
    this.#producers.delete(producerId);
    this.#producers.set(producerId, state);
    return state;
  }

  #roomProblem(batch: ProducedHeader): Failure | undefined {
    const begins = batch.isTransactional && !this.hasOpenTransaction(batch);
    if (!begins || this.#openTransactions < OPEN_TRANSACTIONS_PER_PARTITION_MAX) return undefined;
    return failure(
      "THROTTLING_QUOTA_EXCEEDED",
      `${this.#openTransactions} transactions are open in this partition; retry when some have ended`,
    );
  }

  #forgetOldest(): void {
    if (this.#producers.size <= PRODUCERS_PER_PARTITION_MAX) return;
    for (const [producerId, { transactionStart }] of this.#producers) {
      if (transactionStart !== undefined) continue;
      this.#producers.delete(producerId);
      return;
    }
  }
}

function outsideOfTransaction(producerId: number): Failure {
  return failure(
    "INVALID_TXN_STATE",
    `producer ${producerId} has a transaction open in this partition; what it writes now must belong to it`,
  );
}
