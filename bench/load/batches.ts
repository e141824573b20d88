import { encodeBatch } from "../../src/log/batch.ts";

/** What a record batch takes besides its records, and a record besides its value, at most. */
const BATCH_OVERHEAD_BYTES = 61;
const RECORD_OVERHEAD_BYTES = 12;

/** Records whose values do not compress to nothing, as one batch. */
export function batchOf(records: number, valueBytes: number): Uint8Array {
  const timestamp = Date.now();
  const values = Array.from({ length: records }, (_, index) => printable(valueBytes, index));
  return encodeBatch(values.map((value) => ({ timestamp, key: null, value })));
}

/** A batch of one record that has about so many bytes as a whole. */
export function batchOfBytes(bytes: number): Uint8Array {
  return batchOf(1, bytes - BATCH_OVERHEAD_BYTES - RECORD_OVERHEAD_BYTES);
}

function printable(bytes: number, seed: number): Uint8Array {
  let state = seed * 2_654_435_761 + 1;
  return new Uint8Array(bytes).map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return 32 + ((state >>> 16) % 95);
  });
}
