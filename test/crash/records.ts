/** Records that say where they come from, so that whoever reads one knows what was sent. */

import { encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders } from "../../src/log/batch-header.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import type { SeenRecord } from "./history.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface BatchContent {
  readonly id: number;
  readonly lane: string;
  readonly records: number;
  readonly timestampMs: number;
  readonly producerId: number;
  /** Default 0. */
  readonly producerEpoch?: number;
  readonly baseSequence: number;
  readonly transactional?: boolean;
}

/** The same bytes whenever it is called with the same content. */
export function encodeContent(content: BatchContent): Uint8Array {
  const key = encoder.encode(content.lane);
  const records = Array.from({ length: content.records }, (_, index) => ({
    timestamp: content.timestampMs,
    key,
    value: encoder.encode(contentOf(content.id, index)),
  }));
  return encodeBatch(records, {
    compression: content.id % 5 === 0 ? "gzip" : "none",
    producerId: content.producerId,
    producerEpoch: content.producerId < 0 ? -1 : (content.producerEpoch ?? 0),
    baseSequence: content.baseSequence,
    transactional: content.transactional ?? false,
  });
}

export interface ReadBatches {
  readonly records: SeenRecord[];
  readonly bytes: number;
  readonly nextOffset: number;
}

/** Records from an offset on, out of whole batches as they are stored. */
export function readBatches(batches: Uint8Array, fromOffset: number): ReadBatches {
  const records: SeenRecord[] = [];
  for (const { offset, value } of decodeBatches(batches)) {
    if (offset >= fromOffset)
      records.push({ offset, ...originOf(decoder.decode(value ?? new Uint8Array())) });
  }
  let nextOffset = fromOffset;
  for (const { header } of batchHeaders(batches)) nextOffset = Math.max(nextOffset, header.nextOffset);
  return { records, bytes: batches.length, nextOffset };
}

/** `batch` -1 if the value is not, character by character, what such a record holds. */
export function originOf(value: string): { batch: number; index: number } {
  const [, batch = "", index = ""] = /^(\d+)\/(\d+)\//.exec(value) ?? [];
  const origin = { batch: Number(batch), index: Number(index) };
  return batch !== "" && value === contentOf(origin.batch, origin.index) ? origin : { batch: -1, index: -1 };
}

function contentOf(batch: number, index: number): string {
  const filler = Math.imul(batch + 1, 0x9e3779b1) >>> 0;
  return `${batch}/${index}/${filler.toString(36).repeat((filler % 7) * (filler % 11))}`;
}
