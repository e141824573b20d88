import { describe, expect, test } from "vitest";
import { decodeBatch } from "../../src/log/batch.ts";
import { readBatchHeader } from "../../src/log/batch-header.ts";
import { encodeMarker, type MarkerType, markerTypeOf } from "../../src/log/control-batch.ts";
import { crc32c } from "../../src/log/crc32c.ts";

/** As Kafka 4.4's `MemoryRecords.withEndTransactionMarker` lays it out: of producer 7, epoch 3, at 1,000 ms, offset 0. */
function kafkasMarker(type: number): string {
  const record = `20000000${`080000000${type}`}${"0c000000000000"}00`;
  const body =
    `0030${"00000000"}${"00000000000003e8".repeat(2)}` +
    `0000000000000007${"0003"}${"ffffffff"}${"00000001"}${record}`;
  const crc = crc32c(new Uint8Array(Buffer.from(body, "hex")))
    .toString(16)
    .padStart(8, "0");
  const afterLength = `ffffffff02${crc}${body}`;
  const length = (afterLength.length / 2).toString(16).padStart(8, "0");
  return `0000000000000000${length}${afterLength}`;
}

const marker = (type: MarkerType) =>
  encodeMarker({ producerId: 7, producerEpoch: 3, type, timestampMs: 1_000 });

describe("an end-of-transaction marker", () => {
  test.each([
    ["abort", 0],
    ["commit", 1],
  ] as const)("that says %s has Kafka's bytes", (type, code) => {
    expect(Buffer.from(marker(type)).toString("hex")).toBe(kafkasMarker(code));
  });

  test.each(["abort", "commit"] as const)(
    "is read back as %s, and as no record of an application",
    (type) => {
      const batch = marker(type);
      expect(markerTypeOf(batch)).toBe(type);
      expect(readBatchHeader(batch)).toMatchObject({
        isControl: true,
        isTransactional: true,
        producerId: 7,
        producerEpoch: 3,
        baseSequence: -1,
        recordsCount: 1,
        maxTimestamp: 1_000,
      });
      expect([...decodeBatch(batch)]).toEqual([]);
    },
  );

  test("of a type that is not known ends nothing", () => {
    const batch = marker("commit");
    const type = batch.length - 1 - 1 - 6 - 1;
    expect(batch[type]).toBe(1);
    batch[type] = 5;
    expect(markerTypeOf(batch)).toBeUndefined();
  });
});
