/**
 * What the leader remembers of idempotent producers, so that a retry is recognised and a gap refused
 * (Kafka's `ProducerStateManager`, KIP-98): per producer id its epoch and its last five batches.
 */

import type { BatchHeader } from "../../src/log/batch-header.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import {
  PRODUCER_BATCHES_KEPT,
  PRODUCER_EXPIRATION_MS,
  PRODUCERS_PER_PARTITION_MAX,
} from "../../src/model/limits.ts";
import type { ActiveProducer } from "./rpc.ts";

export interface ProducedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  /** ms; the leader's time if the topic uses LogAppendTime. */
  readonly timestampMs: number;
}

interface ProducerState {
  epoch: number;
  /** Oldest first, at most PRODUCER_BATCHES_KEPT. */
  batches: ProducedBatch[];
  lastWriteMs: number;
}

type IdempotentBatch = Pick<BatchHeader, "producerId" | "producerEpoch" | "baseSequence" | "lastSequence">;

/** Snapshot layout, big-endian: producerId float64, lastWriteMs float64, epoch int16, count uint8, then per batch
 * firstSequence int32, lastSequence int32, baseOffset float64, timestampMs float64. */
const PRODUCER_BYTES = 8 + 8 + 2 + 1;
const PRODUCED_BATCH_BYTES = 4 + 4 + 8 + 8;
const SNAPSHOT_CHUNK_BYTES = 1_500_000;

export class ProducerStates {
  /** In order of last write, so that the first is the one to forget. */
  readonly #producers = new Map<number, ProducerState>();

  get size(): number {
    return this.#producers.size;
  }

  /** The batch as it was stored, if this is a retry; a failure if it may not be appended; undefined if it may. */
  check(batch: IdempotentBatch): ProducedBatch | Failure | undefined {
    const state = this.#producers.get(batch.producerId);
    if (state === undefined) return undefined;
    if (batch.producerEpoch < state.epoch) {
      return failure(
        "INVALID_PRODUCER_EPOCH",
        `producer ${batch.producerId} writes with epoch ${batch.producerEpoch}, but epoch ${state.epoch} has written; get a new producer id`,
      );
    }
    if (batch.producerEpoch > state.epoch) {
      if (batch.baseSequence === 0) return undefined;
      return failure(
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        `producer ${batch.producerId} begins epoch ${batch.producerEpoch} with sequence ${batch.baseSequence} instead of 0`,
      );
    }
    const stored = state.batches.find(
      (known) => known.firstSequence === batch.baseSequence && known.lastSequence === batch.lastSequence,
    );
    if (stored !== undefined) return stored;
    const last = state.batches.at(-1)?.lastSequence;
    if (last === undefined) return undefined;
    const expected = last === 2 ** 31 - 1 ? 0 : last + 1;
    if (batch.baseSequence === expected) return undefined;
    return failure(
      "OUT_OF_ORDER_SEQUENCE_NUMBER",
      `producer ${batch.producerId} sends sequence ${batch.baseSequence}, but ${expected} comes next`,
    );
  }

  /** Takes note of an appended batch. */
  update(batch: IdempotentBatch, baseOffset: number, timestampMs: number, nowMs: number): void {
    const known = this.#producers.get(batch.producerId);
    const state =
      known?.epoch === batch.producerEpoch
        ? known
        : { epoch: batch.producerEpoch, batches: [], lastWriteMs: nowMs };
    state.lastWriteMs = nowMs;
    state.batches.push({
      firstSequence: batch.baseSequence,
      lastSequence: batch.lastSequence,
      baseOffset,
      timestampMs,
    });
    if (state.batches.length > PRODUCER_BATCHES_KEPT) state.batches.shift();
    this.#producers.delete(batch.producerId);
    this.#producers.set(batch.producerId, state);
    if (this.#producers.size > PRODUCERS_PER_PARTITION_MAX) this.#forgetOldest();
  }

  expire(nowMs: number): void {
    for (const [producerId, state] of this.#producers) {
      if (state.lastWriteMs >= nowMs - PRODUCER_EXPIRATION_MS) return;
      this.#producers.delete(producerId);
    }
  }

  list(): ActiveProducer[] {
    return [...this.#producers].map(([producerId, state]) => ({
      producerId,
      producerEpoch: state.epoch,
      lastSequence: state.batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: state.batches.at(-1)?.timestampMs ?? -1,
      coordinatorEpoch: -1,
      currentTransactionStartOffset: -1,
    }));
  }

  /** The whole state in chunks that fit a row each; at least one. */
  snapshot(): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    const producersPerChunk = Math.floor(
      SNAPSHOT_CHUNK_BYTES / (PRODUCER_BYTES + PRODUCER_BATCHES_KEPT * PRODUCED_BATCH_BYTES),
    );
    const producers = [...this.#producers];
    for (let first = 0; first === 0 || first < producers.length; first += producersPerChunk) {
      chunks.push(encodeProducers(producers.slice(first, first + producersPerChunk)));
    }
    return chunks;
  }

  restore(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      for (const [producerId, state] of decodeProducers(chunk)) this.#producers.set(producerId, state);
    }
  }

  #forgetOldest(): void {
    for (const producerId of this.#producers.keys()) {
      this.#producers.delete(producerId);
      return;
    }
  }
}

function encodeProducers(producers: readonly (readonly [number, ProducerState])[]): Uint8Array {
  const size = producers.reduce(
    (bytes, [, state]) => bytes + PRODUCER_BYTES + state.batches.length * PRODUCED_BATCH_BYTES,
    0,
  );
  const view = new DataView(new ArrayBuffer(size));
  let position = 0;
  for (const [producerId, state] of producers) {
    view.setFloat64(position, producerId);
    view.setFloat64(position + 8, state.lastWriteMs);
    view.setInt16(position + 16, state.epoch);
    view.setUint8(position + 18, state.batches.length);
    position += PRODUCER_BYTES;
    for (const batch of state.batches) {
      view.setInt32(position, batch.firstSequence);
      view.setInt32(position + 4, batch.lastSequence);
      view.setFloat64(position + 8, batch.baseOffset);
      view.setFloat64(position + 16, batch.timestampMs);
      position += PRODUCED_BATCH_BYTES;
    }
  }
  return new Uint8Array(view.buffer);
}

function* decodeProducers(chunk: Uint8Array): Generator<[number, ProducerState]> {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  let position = 0;
  while (position < view.byteLength) {
    const producerId = view.getFloat64(position);
    const state: ProducerState = {
      lastWriteMs: view.getFloat64(position + 8),
      epoch: view.getInt16(position + 16),
      batches: [],
    };
    const count = view.getUint8(position + 18);
    position += PRODUCER_BYTES;
    for (let i = 0; i < count; i++, position += PRODUCED_BATCH_BYTES) {
      state.batches.push({
        firstSequence: view.getInt32(position),
        lastSequence: view.getInt32(position + 4),
        baseOffset: view.getFloat64(position + 8),
        timestampMs: view.getFloat64(position + 16),
      });
    }
    yield [producerId, state];
  }
}
