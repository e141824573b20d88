import fc from "fast-check";
import type { NewRecord, RecordHeader } from "../../src/log/record.ts";
import { TIMESTAMP_MS_MAX } from "../../src/model/limits.ts";

const bytesOrNull = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const time = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.constantFrom(-1, 0, TIMESTAMP_MS_MAX),
  fc.maxSafeNat().map((time) => Math.min(time, TIMESTAMP_MS_MAX)),
);

/** Keys as UTF-8 can hold them: without lone surrogates. */
const headerKey = fc.string({ unit: "binary", maxLength: 80 }).map((text) => text.toWellFormed());
const header: fc.Arbitrary<RecordHeader> = fc.record({ key: headerKey, value: bytesOrNull });

export const arbitraryRecord: fc.Arbitrary<NewRecord> = fc.record(
  { timestamp: time, key: bytesOrNull, value: bytesOrNull, headers: fc.array(header, { maxLength: 6 }) },
  { requiredKeys: ["timestamp", "key", "value"] },
);

export const arbitraryRecords = fc.array(arbitraryRecord, { minLength: 1, maxLength: 40 });
