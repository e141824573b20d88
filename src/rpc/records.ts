/** Batches as the records that cross a service binding. */

import { decodeBatches } from "../log/decode-batch.ts";
import { type LogRecord, recordSize } from "../log/record.ts";
import { EdgelogError } from "../model/errors.ts";
import { SERVICE_RECORDS_BYTES_MAX } from "../model/limits.ts";

export interface TakenRecords {
  readonly records: readonly LogRecord[];
  /** The position after them: `end`, or before it if they decompress to more than one answer may have. */
  readonly next: number;
}

/**
 * The records in `[from, end)`, at least one. Their bytes lie in one buffer: a view takes its whole buffer along, however
 * many views there are, once.
 */
export function takeRecords(batches: Uint8Array, from: number, end: number): TakenRecords {
  const records: LogRecord[] = [];
  let bytes = 0;
  let next = end;
  for (const record of decodeBatches(batches)) {
    if (record.offset < from) continue;
    if (record.offset >= next) break;
    const size = RECORD_BYTES + recordSize(record);
    if (size > RPC_BYTES_MAX) throw tooLarge(record.offset, size);
    if (records.length > 0 && bytes + size > SERVICE_RECORDS_BYTES_MAX) {
      next = record.offset;
      break;
    }
    records.push(record);
    bytes += size;
  }
  return { records: compact(records), next };
}

/** What a record takes beside its data when it is sent, roughly. */
const RECORD_BYTES = 100;
/** Short of the platform's 32 MiB. */
const RPC_BYTES_MAX = 31 * 1024 * 1024;

function tooLarge(offset: number, size: number): EdgelogError {
  return new EdgelogError(
    "MESSAGE_TOO_LARGE",
    `the record at offset ${offset} takes ${size} bytes, more than a service binding carries; read it over HTTP`,
  );
}

function compact(records: readonly LogRecord[]): LogRecord[] {
  const buffer = new Uint8Array(records.reduce((sum, record) => sum + recordSize(record), 0));
  let used = 0;
  const moved = (bytes: Uint8Array | null): Uint8Array | null => {
    if (bytes === null) return null;
    const view = buffer.subarray(used, used + bytes.length);
    view.set(bytes);
    used += bytes.length;
    return view;
  };
  return records.map(({ offset, timestamp, key, value, headers }) => ({
    offset,
    timestamp,
    key: moved(key),
    value: moved(value),
    headers: headers.map((header) => ({ key: header.key, value: moved(header.value) })),
  }));
}
