import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBatch, decodeBatches, findByTimestamp } from "../../src/log/batch.ts";
import { batchHeaders, readBatchHeader, sliceFrom, validateBatch } from "../../src/log/batch-header.ts";
import { gunzipPortable } from "../../src/log/codecs/gzip.ts";
import { unzstdPortable } from "../../src/log/codecs/zstd.ts";
import { isFailure } from "../../src/model/errors.ts";
import { DECOMPRESSED_BATCH_BYTES_MAX } from "../../src/model/limits.ts";
import { clientFixtures, readFixture } from "./expected-records.ts";
import { concat, errorOf, resealed } from "./support.ts";

const BATCHES = clientFixtures()
  .filter(({ large }) => !large)
  .map(({ file }) => readFixture(file));

/** A real batch with some of its bytes changed, cut out or doubled; mostly with a CRC that agrees. */
const mutatedBatch = fc
  .record({
    batch: fc.constantFrom(...BATCHES),
    changes: fc.array(
      fc.record({
        // Mostly where the header and the beginning of the records are.
        at: fc.oneof(fc.nat(120), fc.nat(1_300)),
        byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
        kind: fc.constantFrom("set", "set", "set", "flip", "cut", "double"),
      }),
      { maxLength: 6 },
    ),
    sizeIsRight: fc.boolean(),
    crcIsRight: fc.nat(9).map((one) => one > 0),
  })
  .map(({ batch, changes, sizeIsRight, crcIsRight }) => {
    let bytes: Uint8Array = batch.slice();
    for (const { at, byte, kind } of changes) {
      const here = at % Math.max(bytes.length, 1);
      if (kind === "set") bytes[here] = byte;
      else if (kind === "flip") bytes[here] = (bytes[here] ?? 0) ^ (1 << (byte & 7));
      else if (kind === "cut")
        bytes = concat(bytes.subarray(0, here), bytes.subarray(here + 1 + (byte & 15)));
      else bytes = concat(bytes.subarray(0, here + 1), bytes.subarray(Math.max(here - (byte & 15), 0)));
    }
    if (sizeIsRight && bytes.length >= 12)
      new DataView(bytes.buffer, bytes.byteOffset).setInt32(8, bytes.length - 12);
    return crcIsRight && bytes.length >= 61 ? resealed(bytes) : bytes;
  });

/** Whatever these are given, they end: with a result, or with an EdgelogError. */
const READERS: readonly ((bytes: Uint8Array) => unknown)[] = [
  (bytes) => readBatchHeader(bytes),
  (bytes) => validateBatch(bytes),
  (bytes) => [...batchHeaders(bytes)],
  (bytes) => sliceFrom(bytes, 3, 1_000),
  (bytes) => [...decodeBatch(bytes)],
  (bytes) => [...decodeBatches(bytes)],
  (bytes) => findByTimestamp(bytes, 1_700_000_000_005),
];

test("a batch that was tampered with is read or refused, and what is read has offsets that rise within it", () => {
  let refused = 0;
  let read = 0;
  fc.assert(
    fc.property(mutatedBatch, (bytes) => {
      for (const reader of READERS) errorOf(() => reader(bytes));
      const error = errorOf(() => {
        const header = readBatchHeader(bytes);
        let before = header.baseOffset - 1;
        for (const { offset, timestamp } of decodeBatch(bytes)) {
          expect(offset).toBeGreaterThan(before);
          expect(offset).toBeLessThanOrEqual(header.lastOffset);
          expect(Number.isSafeInteger(timestamp)).toBe(true);
          before = offset;
        }
      });
      if (error === "none") read++;
      else refused++;
    }),
    { numRuns: 4_000 },
  );
  expect(read).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(1_000);
});

test("bytes that are no batch at all are refused by everything that looks inside", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const reader of READERS) errorOf(() => reader(bytes));
      expect(isFailure(validateBatch(bytes))).toBe(true);
      expect(errorOf(() => [...decodeBatch(bytes)])).not.toBe("none");
    }),
    { numRuns: 1_000 },
  );
});

test("the decoders in JavaScript, which browsers use, end in the same way", () => {
  for (const [codec, decode] of [
    [1, gunzipPortable],
    [4, unzstdPortable],
  ] as const) {
    const real = BATCHES.filter((batch) => readBatchHeader(batch).compression === codec);
    const changes = fc.array(fc.tuple(fc.nat(250), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...real), changes, (batch, edits) => {
        const bytes = batch.slice(61);
        for (const [at, byte] of edits) if (at < bytes.length) bytes[at] = byte;
        const code = errorOf(() => decode(bytes, DECOMPRESSED_BATCH_BYTES_MAX));
        expect(["none", "INVALID_RECORD", "MESSAGE_TOO_LARGE"]).toContain(code);
      }),
      { numRuns: 1_000 },
    );
  }
});
