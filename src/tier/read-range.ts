/**
 * Reads batches of a tiered segment out of R2. The leader says where they are; their bytes never pass through it. Memory
 * is bounded by what is asked for, however long the range is.
 */

import { BATCH_HEADER_BYTES, type BatchHeader, readBatchHeader } from "../log/batch-header.ts";
import { concatBytes } from "../model/bytes.ts";
import { EdgelogError } from "../model/errors.ts";
import { BATCH_BYTES_MAX, READ_BYTES_MAX, REMOTE_READ_AHEAD_BYTES } from "../model/limits.ts";
import type { RemoteRange } from "./segment-object.ts";

/** The part of an R2 bucket that reading needs. */
export interface SegmentBucket {
  get(
    key: string,
    options: { readonly range: { readonly offset: number; readonly length: number } },
  ): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
}

/**
 * Whole batches from the one that contains `offset` (or the first after it), at most `maxBytes` but at least one; empty
 * when every batch of the range that is meant lies before `offset`; undefined when the object is gone: retention has won the race.
 * @throws {EdgelogError} CORRUPT_MESSAGE: the object does not hold what the leader says. Whatever R2 throws, too.
 */
export function readRange(
  bucket: SegmentBucket,
  range: RemoteRange,
  offset: number,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  return readFrom(bucket, range, (header) => header.lastOffset >= offset, maxBytes);
}

/**
 * The first batch of records that reaches beyond `range.offset` and whose maxTimestamp is at least this; empty if none,
 * undefined when the object is gone.
 * @throws as {@link readRange}.
 */
export function readBatchOfTimestamp(
  bucket: SegmentBucket,
  range: RemoteRange,
  timestampMs: number,
): Promise<Uint8Array | undefined> {
  const isWanted = (header: BatchHeader) =>
    header.maxTimestamp >= timestampMs && header.lastOffset >= range.offset && !header.isControl;
  return readFrom(bucket, range, isWanted, 0);
}

async function readFrom(
  bucket: SegmentBucket,
  range: RemoteRange,
  isFirst: (header: BatchHeader) => boolean,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const end = range.position + range.length;
  const wanted = Math.min(maxBytes, READ_BYTES_MAX);
  /** Begins where a batch begins; its last batch may be torn. */
  let window = new Uint8Array();
  /** Of the byte after the window, in the object. */
  let position = range.position;
  for (;;) {
    const skipped = bytesBefore(window, isFirst);
    // A batch that is not wanted need not be read to its end.
    position += Math.max(0, skipped - window.length);
    window = window.subarray(skipped);
    if (isOver(window, 0, range)) return new Uint8Array();
    const missing = missingBytes(window, wanted, end - position);
    if (missing <= 0 || position >= end) return wholeBatches(window, wanted, range);
    const length = Math.min(end - position, missing);
    const object = await bucket.get(range.key, { range: { offset: position, length } });
    if (object === null) return undefined;
    const bytes = new Uint8Array(await object.arrayBuffer());
    if (bytes.length !== length) throw corrupt(range, `ends at byte ${position + bytes.length}`);
    window = window.length === 0 ? bytes : concatBytes([window, bytes]);
    position += length;
  }
}

/** How much of the window, or of what follows it, comes before the first batch that is wanted. */
function bytesBefore(window: Uint8Array, isFirst: (header: BatchHeader) => boolean): number {
  let at = 0;
  while (at + BATCH_HEADER_BYTES <= window.length) {
    const header = readBatchHeader(window, at);
    if (isFirst(header)) break;
    at += header.sizeInBytes;
  }
  return at;
}

/** What to read next, so that the window holds one whole batch and as much of `wanted` as there is; 0: it does. */
function missingBytes(window: Uint8Array, wanted: number, left: number): number {
  if (window.length < BATCH_HEADER_BYTES) return wanted + REMOTE_READ_AHEAD_BYTES;
  const first = Math.min(readBatchHeader(window).sizeInBytes, BATCH_BYTES_MAX);
  return Math.max(first, Math.min(wanted, window.length + left)) - window.length;
}

function wholeBatches(window: Uint8Array, wanted: number, range: RemoteRange): Uint8Array {
  let stop = 0;
  while (stop + BATCH_HEADER_BYTES <= window.length) {
    const { sizeInBytes } = readBatchHeader(window, stop);
    const isWhole = stop + sizeInBytes <= window.length;
    if (isOver(window, stop, range)) break;
    if (stop === 0 && !isWhole) throw corrupt(range, "ends inside a batch");
    if (!isWhole || (stop > 0 && stop + sizeInBytes > wanted)) break;
    stop += sizeInBytes;
  }
  if (stop === 0 && window.length > 0) throw corrupt(range, "ends inside a batch's header");
  return window.subarray(0, stop);
}

/** Whether the batch at `position`, if its header is there, is not meant any more. */
function isOver(window: Uint8Array, position: number, { beforeOffset }: RemoteRange): boolean {
  if (beforeOffset === undefined || window.length < position + BATCH_HEADER_BYTES) return false;
  return readBatchHeader(window, position).baseOffset >= beforeOffset;
}

function corrupt({ key, position, length }: RemoteRange, what: string): EdgelogError {
  return new EdgelogError(
    "CORRUPT_MESSAGE",
    `bytes ${position} to ${position + length} of ${key}: it ${what}`,
  );
}
