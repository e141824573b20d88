import { describe, expect, test } from "vitest";
import { decodeBatch, encodeBatch, findByTimestamp } from "../../src/log/batch.ts";
import { readBatchHeader, validateBatch } from "../../src/log/batch-header.ts";
import { COMPRESSION_NAMES } from "../../src/log/compression.ts";
import { isFailure, unwrap } from "../../src/model/errors.ts";
import { clientFixtures, expectedRecords, readFixture } from "./expected-records.ts";

const fixtures = clientFixtures();

test("there are batches of five clients in every codec", () => {
  const small = fixtures.filter(({ large }) => !large);
  expect(new Set(small.map(({ client }) => client)).size).toBe(5);
  expect(small.length).toBe(5 * COMPRESSION_NAMES.length);
});

describe.each(fixtures)("$file", (fixture) => {
  const { codec, large } = fixture;
  const batch = readFixture(fixture.file);
  const expected = expectedRecords(fixture);

  test("is a valid batch, and its header says what the client sent", () => {
    const header = unwrap(validateBatch(batch));
    expect(header).toMatchObject({
      baseOffset: 0,
      sizeInBytes: batch.length,
      compression: COMPRESSION_NAMES.indexOf(codec),
      timestampType: "CreateTime",
      isTransactional: false,
      isControl: false,
      recordsCount: expected.length,
      nextOffset: expected.length,
      baseTimestamp: 1_700_000_000_000,
      maxTimestamp: Math.max(...expected.map(({ timestamp }) => timestamp)),
      producerEpoch: large ? -1 : 0,
      baseSequence: large ? -1 : 0,
      lastSequence: large ? -1 : expected.length - 1,
    });
    expect(header.producerId).toBeGreaterThanOrEqual(large ? -1 : 4_000);
  });

  test("decodes to the records that the client was given", () => {
    expect([...decodeBatch(batch)]).toEqual(expected);
  });

  test("finds its first record at or after a time", () => {
    const at = expected[2]?.timestamp ?? 0;
    const first = expected.find(({ timestamp }) => timestamp >= at);
    expect(findByTimestamp(batch, at)).toEqual({ offset: first?.offset, timestamp: first?.timestamp });
    expect(findByTimestamp(batch, 1_800_000_000_000)).toBeUndefined();
  });
});

test("an uncompressed batch is encoded byte for byte as the Java client and librdkafka encode it", () => {
  for (const client of ["java", "librdkafka"]) {
    const batch = readFixture(`${client}-none.bin`);
    const header = readBatchHeader(batch);
    const encoded = encodeBatch([...decodeBatch(batch)], {
      producerId: header.producerId,
      producerEpoch: header.producerEpoch,
      baseSequence: header.baseSequence,
    });
    // The leader epoch, which a producer does not know, lies outside the CRC: clients differ in what they leave there.
    const leaderEpoch = batch.subarray(12, 16);
    encoded.set(leaderEpoch, 12);
    expect(encoded).toEqual(batch);
  }
});

test("a commit marker is a control batch: it has no records for readers, and no producer may send it", () => {
  const batch = readFixture("java-control-commit.bin");
  expect(readBatchHeader(batch)).toMatchObject({
    baseOffset: 41,
    nextOffset: 42,
    partitionLeaderEpoch: 5,
    isControl: true,
    isTransactional: true,
    producerId: 4_000,
    producerEpoch: 2,
    baseSequence: -1,
    lastSequence: -1,
  });
  expect([...decodeBatch(batch)]).toEqual([]);
  batch.fill(0, 0, 8);
  const refused = validateBatch(batch);
  expect(isFailure(refused) && refused.error).toBe("INVALID_RECORD");
});
