/**
 * The 61 bytes that begin a record batch (magic 2, KIP-98), big-endian. A log needs to know no more of a batch, so
 * nothing here looks at records. The CRC covers everything from the attributes on: offset and leader epoch lie outside.
 */

import { EdgelogError, type Failure, failure } from "../model/errors.ts";
import { BATCH_BYTES_MAX, RECORDS_PER_BATCH_MAX, TIMESTAMP_MS_MAX } from "../model/limits.ts";
import {
  ATTRIBUTE_COMPRESSION,
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_DELETE_HORIZON,
  ATTRIBUTE_LOG_APPEND_TIME,
  ATTRIBUTE_TRANSACTIONAL,
  BATCH_OVERHEAD_BYTES,
  FIELD,
  MAGIC,
  RECORD_BYTES_MIN,
  writeInt64,
} from "./batch-layout.ts";
import { crc32c } from "./crc32c.ts";

export const BATCH_HEADER_BYTES = 61;

export interface BatchHeader {
  readonly baseOffset: number;
  /** Of the whole batch: what its length field says, plus the 12 bytes up to that field's end. */
  readonly sizeInBytes: number;
  readonly partitionLeaderEpoch: number;
  readonly magic: number;
  /** Unsigned. */
  readonly crc: number;
  readonly attributes: number;
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5 to 7 mean nothing. */
  readonly compression: number;
  readonly timestampType: "CreateTime" | "LogAppendTime";
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  /** Compaction has put the time at which tombstones may go in place of baseTimestamp (KIP-534). */
  readonly hasDeleteHorizon: boolean;
  readonly lastOffsetDelta: number;
  readonly lastOffset: number;
  /** The offset after the batch. */
  readonly nextOffset: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  /** -1: none. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  /** Sequences go from Int32.MAX on to 0; -1 where baseSequence is. */
  readonly lastSequence: number;
  readonly recordsCount: number;
}

/**
 * Reads the header at `position`. The bytes of the whole batch need not be there.
 *
 * 64-bit fields beyond 2^53 are read inexactly: whoever takes a batch from outside calls `validateBatch` first.
 * @throws {EdgelogError} CORRUPT_MESSAGE if fewer than 61 bytes are left or the size is impossible.
 */
export function readBatchHeader(bytes: Uint8Array, position: number = 0): BatchHeader {
  const left = bytes.length - position;
  if (!(position >= 0 && left >= BATCH_HEADER_BYTES)) {
    throw new EdgelogError(
      "CORRUPT_MESSAGE",
      `a record batch begins with ${BATCH_HEADER_BYTES} bytes; ${Math.max(left, 0)} are left at byte ${position}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + position, BATCH_HEADER_BYTES);
  const sizeInBytes = view.getInt32(FIELD.batchLength) + BATCH_OVERHEAD_BYTES;
  if (sizeInBytes < BATCH_HEADER_BYTES) {
    throw new EdgelogError(
      "CORRUPT_MESSAGE",
      `the batch at byte ${position} says that it has ${sizeInBytes} bytes, fewer than its header`,
    );
  }
  const baseOffset = readInt64(view, FIELD.baseOffset);
  const attributes = view.getInt16(FIELD.attributes);
  const lastOffsetDelta = view.getInt32(FIELD.lastOffsetDelta);
  const baseSequence = view.getInt32(FIELD.baseSequence);
  return {
    baseOffset,
    sizeInBytes,
    partitionLeaderEpoch: view.getInt32(FIELD.partitionLeaderEpoch),
    magic: view.getInt8(FIELD.magic),
    crc: view.getUint32(FIELD.crc),
    attributes,
    compression: attributes & ATTRIBUTE_COMPRESSION,
    timestampType: (attributes & ATTRIBUTE_LOG_APPEND_TIME) === 0 ? "CreateTime" : "LogAppendTime",
    isTransactional: (attributes & ATTRIBUTE_TRANSACTIONAL) !== 0,
    isControl: (attributes & ATTRIBUTE_CONTROL) !== 0,
    hasDeleteHorizon: (attributes & ATTRIBUTE_DELETE_HORIZON) !== 0,
    lastOffsetDelta,
    lastOffset: baseOffset + lastOffsetDelta,
    nextOffset: baseOffset + lastOffsetDelta + 1,
    baseTimestamp: readInt64(view, FIELD.baseTimestamp),
    maxTimestamp: readInt64(view, FIELD.maxTimestamp),
    producerId: readInt64(view, FIELD.producerId),
    producerEpoch: view.getInt16(FIELD.producerEpoch),
    baseSequence,
    lastSequence: lastSequenceOf(baseSequence, lastOffsetDelta),
    recordsCount: view.getInt32(FIELD.recordsCount),
  };
}

/** When the records of a batch were made, as far as its header tells: the time of the first one, in ms; -1: it has none. */
export function batchTime(header: BatchHeader): number {
  const isBaseTime = header.timestampType === "CreateTime" && !header.hasDeleteHorizon;
  return isBaseTime ? header.baseTimestamp : header.maxTimestamp;
}

/**
 * Walks whole batches in `bytes[from, to)`.
 * @throws {EdgelogError} CORRUPT_MESSAGE at a batch that does not end before `to`.
 */
export function* batchHeaders(
  bytes: Uint8Array,
  from: number = 0,
  to: number = bytes.length,
): Generator<{ header: BatchHeader; position: number }> {
  const whole = to === bytes.length ? bytes : bytes.subarray(0, to);
  for (let position = from; position < to; ) {
    const header = readBatchHeader(whole, position);
    if (header.sizeInBytes > to - position) {
      throw new EdgelogError(
        "CORRUPT_MESSAGE",
        `the batch at byte ${position} has ${header.sizeInBytes} bytes; only ${to - position} are left`,
      );
    }
    yield { header, position };
    position += header.sizeInBytes;
  }
}

/**
 * A view of whole batches: from the one that contains `offset` (where compaction or retention has removed it, from the
 * first one after it), as many as fit into `maxBytes`, but at least one. Empty when every batch lies before `offset`.
 * @throws {EdgelogError} CORRUPT_MESSAGE as {@link batchHeaders}.
 */
export function sliceFrom(batches: Uint8Array, offset: number, maxBytes: number): Uint8Array {
  let start = batches.length;
  let end = batches.length;
  for (const { header, position } of batchHeaders(batches)) {
    if (header.lastOffset < offset) continue;
    if (position < start) start = position;
    else if (position + header.sizeInBytes - start > maxBytes) break;
    end = position + header.sizeInBytes;
  }
  return batches.subarray(start, end);
}

/**
 * Holds exactly one batch, as a producer sends it, against the rules of Kafka's `LogValidator` that need no look at the
 * records: size, magic, CRC, offsets and counts, codec, producer fields, times.
 *
 * Returns its header, or
 * - CORRUPT_MESSAGE: torn, or not what its CRC says;
 * - MESSAGE_TOO_LARGE: more than BATCH_BYTES_MAX, whatever max.message.bytes says;
 * - INVALID_RECORD: not one batch of magic 2, a control batch, offsets or counts or producer fields that cannot be;
 * - UNSUPPORTED_COMPRESSION_TYPE: a codec that Kafka does not have;
 * - INVALID_TIMESTAMP: stamped LogAppendTime, or a time that is neither -1 nor from 0 to TIMESTAMP_MS_MAX.
 */
export function validateBatch(bytes: Uint8Array): BatchHeader | Failure {
  if (bytes.length < BATCH_HEADER_BYTES) {
    return failure(
      "CORRUPT_MESSAGE",
      `a record batch has at least ${BATCH_HEADER_BYTES} bytes, this has ${bytes.length}`,
    );
  }
  const magic = bytes[FIELD.magic] ?? 0;
  if (magic < MAGIC) {
    return failure(
      "INVALID_RECORD",
      `message format ${magic} is not supported; send record batches of magic 2 (Kafka 0.11 or later)`,
    );
  }
  if (magic > MAGIC) return failure("CORRUPT_MESSAGE", `${magic} is not the magic of any record batch`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, BATCH_HEADER_BYTES);
  const sizeInBytes = view.getInt32(FIELD.batchLength) + BATCH_OVERHEAD_BYTES;
  if (sizeInBytes < BATCH_HEADER_BYTES || sizeInBytes > bytes.length) {
    return failure(
      "CORRUPT_MESSAGE",
      `the batch says that it has ${sizeInBytes} bytes, but ${bytes.length} came`,
    );
  }
  if (sizeInBytes < bytes.length) {
    return failure(
      "INVALID_RECORD",
      `send exactly one batch at a time: after its ${sizeInBytes} bytes ${bytes.length - sizeInBytes} more came`,
    );
  }
  if (sizeInBytes > BATCH_BYTES_MAX) {
    return failure(
      "MESSAGE_TOO_LARGE",
      `the batch has ${sizeInBytes} bytes; no topic takes more than ${BATCH_BYTES_MAX}`,
    );
  }
  const header = readBatchHeader(bytes);
  const crc = crc32c(bytes, FIELD.attributes, sizeInBytes);
  if (crc !== header.crc) {
    return failure(
      "CORRUPT_MESSAGE",
      `the batch says that its CRC-32C is ${hex(header.crc)}, but its bytes have ${hex(crc)}`,
    );
  }
  return problemOf(header) ?? header;
}

function problemOf(header: BatchHeader): Failure | undefined {
  if (header.baseOffset !== 0) {
    return failure("INVALID_RECORD", `a producer's batch has baseOffset 0, not ${header.baseOffset}`);
  }
  if (header.isControl) return failure("INVALID_RECORD", "clients may not write control batches");
  if (header.hasDeleteHorizon) {
    return failure("INVALID_RECORD", "only compaction may set a batch's delete horizon");
  }
  const { recordsCount, lastOffsetDelta } = header;
  if (recordsCount <= 0 || lastOffsetDelta !== recordsCount - 1) {
    return failure(
      "INVALID_RECORD",
      `a batch of ${recordsCount} records with lastOffsetDelta ${lastOffsetDelta}: there must be at least one record, and lastOffsetDelta one less than their number`,
    );
  }
  if (recordsCount > RECORDS_PER_BATCH_MAX) {
    return failure(
      "INVALID_RECORD",
      `the batch has ${recordsCount} records; the most is ${RECORDS_PER_BATCH_MAX}`,
    );
  }
  if (header.compression > 4) {
    return failure(
      "UNSUPPORTED_COMPRESSION_TYPE",
      `codec ${header.compression} is unknown; use none, gzip, snappy, lz4 or zstd`,
    );
  }
  const recordsBytes = header.sizeInBytes - BATCH_HEADER_BYTES;
  if (header.compression === 0 && recordsCount * RECORD_BYTES_MIN > recordsBytes) {
    return failure("INVALID_RECORD", `${recordsCount} records do not fit into ${recordsBytes} bytes`);
  }
  return problemOfProducer(header) ?? problemOfTimes(header);
}

function problemOfProducer(header: BatchHeader): Failure | undefined {
  const { producerId, producerEpoch, baseSequence } = header;
  if (producerId < -1 || producerId > Number.MAX_SAFE_INTEGER) {
    return failure("INVALID_RECORD", `${producerId} is not a producer id of this cluster`);
  }
  if (producerId === -1) {
    return header.isTransactional
      ? failure("INVALID_RECORD", "a transactional batch must carry a producer id")
      : undefined;
  }
  if (producerEpoch < 0 || baseSequence < 0) {
    return failure(
      "INVALID_RECORD",
      `a batch with producer id ${producerId} must have an epoch and a sequence of at least 0, not ${producerEpoch} and ${baseSequence}`,
    );
  }
  return undefined;
}

function problemOfTimes(header: BatchHeader): Failure | undefined {
  if (header.timestampType === "LogAppendTime") {
    return failure(
      "INVALID_TIMESTAMP",
      "a producer may not stamp a batch LogAppendTime; only the leader does",
    );
  }
  for (const timestamp of [header.baseTimestamp, header.maxTimestamp]) {
    if (timestamp < -1 || timestamp > TIMESTAMP_MS_MAX) {
      return failure("INVALID_TIMESTAMP", `${timestamp} is not a time: give ms since 1970, or -1 for none`);
    }
  }
  return undefined;
}

/** Gives a batch its place in the log: writes, in place, the two fields that lie outside the CRC. */
export function stampBatch(bytes: Uint8Array, baseOffset: number, leaderEpoch: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  writeInt64(view, FIELD.baseOffset, baseOffset);
  view.setInt32(FIELD.partitionLeaderEpoch, leaderEpoch);
}

/** For message.timestamp.type=LogAppendTime: every record of the batch now has this time. The CRC is made anew. */
export function stampLogAppendTime(bytes: Uint8Array, timestampMs: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setInt16(FIELD.attributes, view.getInt16(FIELD.attributes) | ATTRIBUTE_LOG_APPEND_TIME);
  writeInt64(view, FIELD.maxTimestamp, timestampMs);
  const end = view.getInt32(FIELD.batchLength) + BATCH_OVERHEAD_BYTES;
  view.setUint32(FIELD.crc, crc32c(bytes, FIELD.attributes, end));
}

function hex(crc: number): string {
  return `0x${crc.toString(16).padStart(8, "0")}`;
}

function readInt64(view: DataView, at: number): number {
  return view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
}

function lastSequenceOf(baseSequence: number, lastOffsetDelta: number): number {
  if (baseSequence < 0) return baseSequence;
  return (baseSequence + lastOffsetDelta) % 2 ** 31;
}
