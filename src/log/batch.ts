/** Record batches (magic 2): written from records, and read back into them. */

import { EdgelogError } from "../model/errors.ts";
import { DECOMPRESSED_BATCH_BYTES_MAX, RECORDS_PER_BATCH_MAX, TIMESTAMP_MS_MAX } from "../model/limits.ts";
import { BATCH_HEADER_BYTES } from "./batch-header.ts";
import {
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_TRANSACTIONAL,
  BATCH_OVERHEAD_BYTES,
  FIELD,
  MAGIC,
  writeInt64,
} from "./batch-layout.ts";
import { COMPRESSION_NAMES, type CompressionName, compress } from "./compression.ts";
import { crc32c } from "./crc32c.ts";
import type { NewRecord, RecordSequence } from "./record.ts";
import { recordDataBytes, writeRecordData } from "./record-data.ts";
import { sizeOfVarint, sizeOfVarlong, writeVarint, writeVarlong } from "./varint.ts";

export { decodeBatch, decodeBatches, findByTimestamp } from "./decode-batch.ts";

export interface BatchOptions {
  /** Default none. Each codec that `compress` can write here. */
  readonly compression?: CompressionName;
  /** Of an idempotent producer, together with `producerEpoch` and `baseSequence`; default -1: none. */
  readonly producerId?: number;
  readonly producerEpoch?: number;
  /** Sequence of the first record; the others follow it. */
  readonly baseSequence?: number;
  readonly transactional?: boolean;
  /** Its records are for brokers and consumers, not for applications: see control-batch.ts. */
  readonly control?: boolean;
}

/**
 * The records as one batch, ready to be produced: baseOffset 0, no leader epoch, the records' own times.
 * @throws {EdgelogError} INVALID_RECORD for no records, too many of them or of headers; INVALID_TIMESTAMP for a time that
 *   is neither -1 nor from 0 to TIMESTAMP_MS_MAX; MESSAGE_TOO_LARGE beyond DECOMPRESSED_BATCH_BYTES_MAX before compression;
 *   UNSUPPORTED_COMPRESSION_TYPE if the codec cannot be written here.
 */
export function encodeBatch(records: RecordSequence, options: BatchOptions = {}): Uint8Array {
  const { compression = "none", producerId = -1, producerEpoch = -1, baseSequence = -1 } = options;
  const first = records.at(0);
  if (first === undefined) throw new EdgelogError("INVALID_RECORD", "a batch has at least one record");
  if (records.length > RECORDS_PER_BATCH_MAX) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `a batch holds at most ${RECORDS_PER_BATCH_MAX} records, not ${records.length}`,
    );
  }
  const baseTimestamp = first.timestamp;
  const sizes = new Int32Array(records.length);
  let recordsBytes = 0;
  let maxTimestamp = -1;
  for (let index = 0; index < records.length; index++) {
    const record = records.at(index) ?? first;
    if (!isTime(record.timestamp)) {
      throw new EdgelogError(
        "INVALID_TIMESTAMP",
        `${record.timestamp} is not a time: give whole ms since 1970, or -1 for none`,
      );
    }
    if (record.timestamp > maxTimestamp) maxTimestamp = record.timestamp;
    const size = bodyBytes(record, record.timestamp - baseTimestamp, index);
    sizes[index] = size;
    recordsBytes += sizeOfVarint(size) + size;
    if (recordsBytes > DECOMPRESSED_BATCH_BYTES_MAX) {
      throw new EdgelogError(
        "MESSAGE_TOO_LARGE",
        `the records of a batch take at most ${DECOMPRESSED_BATCH_BYTES_MAX} bytes before compression`,
      );
    }
  }

  let batch = new Uint8Array(BATCH_HEADER_BYTES + recordsBytes);
  let position = BATCH_HEADER_BYTES;
  for (let index = 0; index < records.length; index++) {
    const record = records.at(index) ?? first;
    position = writeVarint(batch, position, sizes[index] ?? 0);
    position = writeBody(batch, position, record, record.timestamp - baseTimestamp, index);
  }
  if (compression !== "none") {
    const compressed = compress(compression, batch.subarray(BATCH_HEADER_BYTES));
    batch = new Uint8Array(BATCH_HEADER_BYTES + compressed.length);
    batch.set(compressed, BATCH_HEADER_BYTES);
  }

  const view = new DataView(batch.buffer);
  view.setInt32(FIELD.batchLength, batch.length - BATCH_OVERHEAD_BYTES);
  view.setInt32(FIELD.partitionLeaderEpoch, -1);
  view.setInt8(FIELD.magic, MAGIC);
  view.setInt16(FIELD.attributes, attributesOf(options));
  view.setInt32(FIELD.lastOffsetDelta, records.length - 1);
  writeInt64(view, FIELD.baseTimestamp, baseTimestamp);
  writeInt64(view, FIELD.maxTimestamp, maxTimestamp);
  writeInt64(view, FIELD.producerId, producerId);
  view.setInt16(FIELD.producerEpoch, producerEpoch);
  view.setInt32(FIELD.baseSequence, baseSequence);
  view.setInt32(FIELD.recordsCount, records.length);
  view.setUint32(FIELD.crc, crc32c(batch, FIELD.attributes));
  return batch;
}

function attributesOf({
  compression = "none",
  transactional = false,
  control = false,
}: BatchOptions): number {
  const codec = COMPRESSION_NAMES.indexOf(compression);
  return codec | (transactional ? ATTRIBUTE_TRANSACTIONAL : 0) | (control ? ATTRIBUTE_CONTROL : 0);
}

/**
 * The most that this record adds to a batch, before compression (its deltas may take fewer bytes). A batch of one record
 * has BATCH_HEADER_BYTES more.
 */
export function encodedRecordBytes(record: NewRecord): number {
  const body = bodyBytes(record, Number.MAX_SAFE_INTEGER, RECORDS_PER_BATCH_MAX);
  return sizeOfVarint(body) + body;
}

/** Kept below 2^53 by a margin, so that the difference of two times stays a safe integer too. */
function isTime(timestamp: number): boolean {
  return Number.isInteger(timestamp) && timestamp >= -1 && timestamp <= TIMESTAMP_MS_MAX;
}

/** Of what follows a record's length. */
function bodyBytes(record: NewRecord, timestampDelta: number, offsetDelta: number): number {
  return 1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta) + recordDataBytes(record);
}

function writeBody(
  bytes: Uint8Array,
  start: number,
  record: NewRecord,
  timestampDelta: number,
  offsetDelta: number,
): number {
  let position = start;
  bytes[position++] = 0;
  position = writeVarlong(bytes, position, timestampDelta);
  position = writeVarint(bytes, position, offsetDelta);
  return writeRecordData(bytes, position, record);
}
