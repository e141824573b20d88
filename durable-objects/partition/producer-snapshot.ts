/**
 * What a leader remembers of its producers, as bytes in chunks that fit a row each.
 *
 * A chunk, big-endian: version int16 (-2), then per producer id float64, last write float64 (ms), epoch int16, first
 * offset of the open transaction float64 (-1: none), last marker float64 (ms, -1: none), count uint8, and per batch first
 * sequence int32, last sequence int32, base offset float64, timestamp float64 (ms). A chunk of before there were
 * transactions has no version, and neither of the two fields about them.
 */

import { PRODUCER_BATCHES_KEPT } from "../../src/model/limits.ts";
import type { ProducedBatch, ProducerState } from "./producer-states.ts";

/** Not the beginning of any producer id as a float64. */
const VERSION = -2;
const VERSION_BYTES = 2;
const PRODUCER_BYTES = 8 + 8 + 2 + 8 + 8 + 1;
const BATCH_BYTES = 4 + 4 + 8 + 8;
const CHUNK_BYTES_MAX = 1_500_000;
const PRODUCERS_PER_CHUNK = Math.floor(
  (CHUNK_BYTES_MAX - VERSION_BYTES) / (PRODUCER_BYTES + PRODUCER_BATCHES_KEPT * BATCH_BYTES),
);
const NONE = -1;

type Producer = readonly [producerId: number, state: ProducerState];

/** At least one chunk. */
export function encodeProducers(producers: readonly Producer[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let first = 0; first === 0 || first < producers.length; first += PRODUCERS_PER_CHUNK) {
    chunks.push(encodeChunk(producers.slice(first, first + PRODUCERS_PER_CHUNK)));
  }
  return chunks;
}

function encodeChunk(producers: readonly Producer[]): Uint8Array {
  const size = producers.reduce(
    (bytes, [, { batches }]) => bytes + PRODUCER_BYTES + batches.length * BATCH_BYTES,
    VERSION_BYTES,
  );
  const view = new DataView(new ArrayBuffer(size));
  view.setInt16(0, VERSION);
  let position = VERSION_BYTES;
  for (const [producerId, state] of producers) {
    view.setFloat64(position, producerId);
    view.setFloat64(position + 8, state.lastWriteMs);
    view.setInt16(position + 16, state.epoch);
    view.setFloat64(position + 18, state.transactionStart ?? NONE);
    view.setFloat64(position + 26, state.markerAtMs);
    view.setUint8(position + 34, state.batches.length);
    position += PRODUCER_BYTES;
    for (const batch of state.batches) {
      view.setInt32(position, batch.firstSequence);
      view.setInt32(position + 4, batch.lastSequence);
      view.setFloat64(position + 8, batch.baseOffset);
      view.setFloat64(position + 16, batch.timestampMs);
      position += BATCH_BYTES;
    }
  }
  return new Uint8Array(view.buffer);
}

export function* decodeProducers(chunk: Uint8Array): Generator<[number, ProducerState]> {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const hasTransactions = view.byteLength >= VERSION_BYTES && view.getInt16(0) === VERSION;
  let position = hasTransactions ? VERSION_BYTES : 0;
  while (position < view.byteLength) {
    const producerId = view.getFloat64(position);
    const lastWriteMs = view.getFloat64(position + 8);
    const epoch = view.getInt16(position + 16);
    const start = hasTransactions ? view.getFloat64(position + 18) : NONE;
    const markerAtMs = hasTransactions ? view.getFloat64(position + 26) : NONE;
    position += hasTransactions ? PRODUCER_BYTES : PRODUCER_BYTES - 16;
    const count = view.getUint8(position - 1);
    const batches: ProducedBatch[] = [];
    for (let i = 0; i < count; i++, position += BATCH_BYTES) {
      batches.push({
        firstSequence: view.getInt32(position),
        lastSequence: view.getInt32(position + 4),
        baseOffset: view.getFloat64(position + 8),
        timestampMs: view.getFloat64(position + 16),
      });
    }
    const transactionStart = start === NONE ? undefined : start;
    yield [producerId, { epoch, batches, lastWriteMs, transactionStart, markerAtMs }];
  }
}
