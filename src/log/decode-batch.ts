import { EdgelogError } from "../model/errors.ts";
import { DECOMPRESSED_BATCH_BYTES_MAX, OFFSET_MAX, RECORDS_PER_BATCH_MAX } from "../model/limits.ts";
import { BATCH_HEADER_BYTES, type BatchHeader, batchHeaders, readBatchHeader } from "./batch-header.ts";
import { FIELD, MAGIC, RECORD_BYTES_MIN } from "./batch-layout.ts";
import { compressionName, decompress } from "./compression.ts";
import { crc32c } from "./crc32c.ts";
import type { LogRecord } from "./record.ts";
import { readRecordData } from "./record-data.ts";
import { VarintReader } from "./varint.ts";

/**
 * The records of one whole batch, in order of their offsets; none of a control batch. Works through the batch as it is
 * asked, so what is wrong with the last record is thrown after the others have been given. `decompressed` is told how many
 * bytes it holds meanwhile beside the batch.
 * @throws {EdgelogError} CORRUPT_MESSAGE: torn, or not what its CRC says. UNSUPPORTED_FOR_MESSAGE_FORMAT: not magic 2.
 *   UNSUPPORTED_COMPRESSION_TYPE: unknown codec. MESSAGE_TOO_LARGE: decompresses to more than
 *   DECOMPRESSED_BATCH_BYTES_MAX. INVALID_RECORD: records that break the format.
 */
export function* decodeBatch(
  batch: Uint8Array,
  decompressed: (bytes: number) => void = () => {},
): Generator<LogRecord, void, undefined> {
  const header = checkedHeader(batch);
  if (header.isControl) return;
  const body = recordsOf(batch, header);
  decompressed(body.buffer === batch.buffer ? 0 : body.length);
  const reader = new VarintReader(body);
  let before = -1;
  for (let index = 0; index < header.recordsCount; index++) {
    const record = readRecord(reader, header);
    if (record.offset <= header.baseOffset + before) {
      throw new EdgelogError(
        "INVALID_RECORD",
        `record ${index} of the batch at offset ${header.baseOffset} does not come after the one before it`,
      );
    }
    before = record.offset - header.baseOffset;
    yield record;
  }
  if (reader.position !== body.length) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `${body.length - reader.position} bytes are left after the ${header.recordsCount} records of the batch at offset ${header.baseOffset}`,
    );
  }
}

/**
 * The records of whole batches that follow one another.
 * @throws {EdgelogError} as {@link decodeBatch}.
 */
export function* decodeBatches(
  batches: Uint8Array,
  decompressed?: (bytes: number) => void,
): Generator<LogRecord, void, undefined> {
  for (const { header, position } of batchHeaders(batches)) {
    yield* decodeBatch(batches.subarray(position, position + header.sizeInBytes), decompressed);
  }
}

/**
 * The first record of the batch, from `fromOffset` on, whose time is at least `timestampMs`, as ListOffsets asks;
 * undefined if there is none.
 * @throws {EdgelogError} as {@link decodeBatch}.
 */
export function findByTimestamp(
  batch: Uint8Array,
  timestampMs: number,
  fromOffset: number = 0,
): { offset: number; timestamp: number } | undefined {
  const header = readBatchHeader(batch);
  if (header.maxTimestamp < timestampMs) return undefined;
  for (const { offset, timestamp } of decodeBatch(batch)) {
    if (timestamp >= timestampMs && offset >= fromOffset) return { offset, timestamp };
  }
  return undefined;
}

function checkedHeader(batch: Uint8Array): BatchHeader {
  const header = readBatchHeader(batch);
  if (header.sizeInBytes !== batch.length) {
    throw new EdgelogError(
      "CORRUPT_MESSAGE",
      `the batch says that it has ${header.sizeInBytes} bytes, but there are ${batch.length}`,
    );
  }
  if (header.magic !== MAGIC) {
    throw new EdgelogError(
      "UNSUPPORTED_FOR_MESSAGE_FORMAT",
      `only record batches of magic 2 can be read, not of ${header.magic}`,
    );
  }
  if (crc32c(batch, FIELD.attributes) !== header.crc) {
    throw new EdgelogError("CORRUPT_MESSAGE", `the batch at offset ${header.baseOffset} fails its CRC-32C`);
  }
  const { baseOffset, lastOffsetDelta, recordsCount } = header;
  if (
    baseOffset < 0 ||
    header.lastOffset > OFFSET_MAX ||
    recordsCount < 0 ||
    recordsCount > RECORDS_PER_BATCH_MAX ||
    lastOffsetDelta < recordsCount - 1
  ) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `a batch with offset ${baseOffset}, lastOffsetDelta ${lastOffsetDelta} and ${recordsCount} records cannot be`,
    );
  }
  return header;
}

function recordsOf(batch: Uint8Array, header: BatchHeader): Uint8Array {
  const stored = batch.subarray(BATCH_HEADER_BYTES);
  const codec = compressionName(header.compression);
  const body = codec === "none" ? stored : decompress(codec, stored, DECOMPRESSED_BATCH_BYTES_MAX);
  if (header.recordsCount * RECORD_BYTES_MIN > body.length) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `${header.recordsCount} records do not fit into ${body.length} bytes`,
    );
  }
  return body;
}

function readRecord(reader: VarintReader, header: BatchHeader): LogRecord {
  const length = reader.readVarint();
  const end = reader.position + length;
  if (length < RECORD_BYTES_MIN - 1 || end > reader.end) {
    throw new EdgelogError("INVALID_RECORD", `a record says that it has ${length} bytes`);
  }
  reader.readInt8();
  const timestampDelta = reader.readVarlong();
  const offsetDelta = reader.readVarint();
  if (offsetDelta < 0 || offsetDelta > header.lastOffsetDelta) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `a record has offset delta ${offsetDelta} in a batch whose last is ${header.lastOffsetDelta}`,
    );
  }
  const data = readRecordData(reader, end);
  if (reader.position !== end) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `a record's fields do not take the ${length} bytes that it says`,
    );
  }
  const timestamp =
    header.timestampType === "CreateTime" ? header.baseTimestamp + timestampDelta : header.maxTimestamp;
  if (!Number.isSafeInteger(timestamp)) {
    throw new EdgelogError("INVALID_RECORD", `a record has the impossible time ${timestamp}`);
  }
  return { offset: header.baseOffset + offsetDelta, timestamp, ...data };
}
