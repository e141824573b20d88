import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeBatch } from "../../src/log/batch.ts";
import { readBatchHeader, validateBatch } from "../../src/log/batch-header.ts";
import { COMPRESSION_NAMES } from "../../src/log/compression.ts";
import { decodeBatch } from "../../src/log/decode-batch.ts";
import { recompressBatch } from "../../src/log/recompress.ts";
import { isFailure } from "../../src/model/errors.ts";
import { errorOf, resealed } from "./support.ts";

const codec = fc.constantFrom(...COMPRESSION_NAMES);
const record = fc.record({
  timestamp: fc.integer({ min: 0, max: 2_000_000_000_000 }),
  key: fc.option(fc.uint8Array({ maxLength: 20 })),
  value: fc.option(fc.uint8Array({ maxLength: 400 })),
});

describe("a batch put into another codec", () => {
  test("has the same records and the same header, but for the codec, its length and its CRC", () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), codec, codec, (records, from, to) => {
        const producer = { producerId: 7, producerEpoch: 1, baseSequence: 40 };
        const batch = encodeBatch(records, { compression: from, ...producer });
        const other = recompressBatch(batch, to);
        expect(isFailure(validateBatch(other))).toBe(false);
        expect([...decodeBatch(other)]).toEqual([...decodeBatch(batch)]);
        const { crc: _, sizeInBytes: __, attributes: ___, compression, ...header } = readBatchHeader(other);
        expect(COMPRESSION_NAMES[compression]).toBe(to);
        expect(readBatchHeader(batch)).toMatchObject(header);
      }),
      { numRuns: 200 },
    );
  });

  test("must be understood by its own", () => {
    const batch = encodeBatch([{ timestamp: 1, key: null, value: new Uint8Array(500) }], {
      compression: "lz4",
    });
    batch.fill(0xff, 61, 70);
    expect(errorOf(() => recompressBatch(resealed(batch), "none"))).toBe("INVALID_RECORD");
  });
});
