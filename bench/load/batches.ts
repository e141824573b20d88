import { encodeBatch } from "../../src/log/batch.ts";
import { valuesOf } from "./values.ts";

/** What a record batch takes besides its records, and a record besides its value, at most. */
const BATCH_OVERHEAD_BYTES = 61;
const RECORD_OVERHEAD_BYTES = 12;

/** Records whose values do not compress to nothing, as one batch. */
export function batchOf(records: number, valueBytes: number): Uint8Array {
  const timestamp = Date.now();
  return encodeBatch(valuesOf(records, valueBytes).map((value) => ({ timestamp, key: null, value })));
}

/** A batch of one record that has about so many bytes as a whole. */
export function batchOfBytes(bytes: number): Uint8Array {
  return batchOf(1, bytes - BATCH_OVERHEAD_BYTES - RECORD_OVERHEAD_BYTES);
}
