/** Key, value and headers of a record as a batch has them, after what depends on the batch. */

import { EdgelogError } from "../model/errors.ts";
import { DECODED_HEADERS_PER_RECORD_MAX, HEADERS_PER_RECORD_MAX } from "../model/limits.ts";
import type { LogRecord, NewRecord, RecordHeader } from "./record.ts";
import { utf8Length, utf8Text, writeUtf8 } from "./utf8.ts";
import { sizeOfVarint, type VarintReader, writeVarint } from "./varint.ts";

export type RecordData = Pick<LogRecord, "headers" | "key" | "value">;

/** Bytes that {@link writeRecordData} takes. Throws INVALID_RECORD for too many headers. */
export function recordDataBytes({ key, value, headers }: Omit<NewRecord, "timestamp">): number {
  let size = fieldBytes(key) + fieldBytes(value);
  if (headers === undefined) return size + 1;
  if (headers.length > HEADERS_PER_RECORD_MAX) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `a record has at most ${HEADERS_PER_RECORD_MAX} headers, not ${headers.length}`,
    );
  }
  size += sizeOfVarint(headers.length);
  for (const header of headers) {
    const keyLength = utf8Length(header.key);
    size += sizeOfVarint(keyLength) + keyLength + fieldBytes(header.value);
  }
  return size;
}

function fieldBytes(field: Uint8Array | null): number {
  return field === null ? 1 : sizeOfVarint(field.length) + field.length;
}

/** Returns the position after it. */
export function writeRecordData(
  bytes: Uint8Array,
  start: number,
  { key, value, headers }: Omit<NewRecord, "timestamp">,
): number {
  let position = writeField(bytes, start, key);
  position = writeField(bytes, position, value);
  if (headers === undefined) {
    bytes[position++] = 0;
    return position;
  }
  position = writeVarint(bytes, position, headers.length);
  for (const header of headers) {
    position = writeVarint(bytes, position, utf8Length(header.key));
    position = writeUtf8(bytes, position, header.key);
    position = writeField(bytes, position, header.value);
  }
  return position;
}

function writeField(bytes: Uint8Array, start: number, field: Uint8Array | null): number {
  if (field === null) return writeVarint(bytes, start, -1);
  const position = writeVarint(bytes, start, field.length);
  bytes.set(field, position);
  return position + field.length;
}

/** Views into the reader's bytes, of which none lie beyond `end`. Throws INVALID_RECORD. */
export function readRecordData(reader: VarintReader, end: number): RecordData {
  const key = readBytes(reader, end);
  const value = readBytes(reader, end);
  return { key, value, headers: readHeaders(reader, end) };
}

const NO_HEADERS: readonly RecordHeader[] = [];
/** Key length and value length: a byte each. */
const RECORD_HEADER_BYTES_MIN = 2;

function readBytes(reader: VarintReader, end: number): Uint8Array | null {
  const length = reader.readVarint();
  if (length === -1) return null;
  const start = reader.position;
  if (length < 0 || length > end - start) throw impossibleLength(length);
  reader.position = start + length;
  return reader.bytes.subarray(start, start + length);
}

function readHeaders(reader: VarintReader, end: number): readonly RecordHeader[] {
  const count = reader.readVarint();
  if (count === 0) return NO_HEADERS;
  if (
    count < 0 ||
    count > DECODED_HEADERS_PER_RECORD_MAX ||
    count * RECORD_HEADER_BYTES_MIN > end - reader.position
  ) {
    throw new EdgelogError("INVALID_RECORD", `a record says that it has ${count} headers`);
  }
  const headers: RecordHeader[] = [];
  for (let index = 0; index < count; index++) {
    const length = reader.readVarint();
    const start = reader.position;
    if (length < 0 || length > end - start) throw impossibleLength(length);
    reader.position = start + length;
    headers.push({ key: utf8Text(reader.bytes, start, start + length), value: readBytes(reader, end) });
  }
  return headers;
}

function impossibleLength(length: number): EdgelogError {
  return new EdgelogError(
    "INVALID_RECORD",
    `a record has a field of ${length} bytes, more than are left of it`,
  );
}
