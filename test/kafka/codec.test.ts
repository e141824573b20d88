import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMessage, writeMessage } from "../../src/kafka/codec.ts";
import { consumerAssignment, consumerSubscription } from "../../src/kafka/messages/consumer-protocol.ts";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { APIS } from "../../src/kafka/messages/index.ts";
import { initProducerIdApi } from "../../src/kafka/messages/init-producer-id.ts";
import { metadataApi } from "../../src/kafka/messages/metadata.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { array, int8, int32, int64, type Message, message, string } from "../../src/kafka/schema.ts";
import { WireWriter } from "../../src/kafka/wire-writer.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { EdgelogError } from "../../src/model/errors.ts";
import { KAFKA_ARRAY_ELEMENTS_MAX } from "../../src/model/limits.ts";
import { arbitraryMessage } from "./arbitrary-message.ts";

const MESSAGES: readonly Message[] = [
  ...[...APIS.values()].flatMap(({ request, response }) => [request, response]),
  consumerSubscription,
  consumerAssignment,
];
const RUNS_PER_VERSION = 12;

function encode(schema: Message, version: number, value: Record<string, unknown>): Uint8Array {
  const writer = new WireWriter();
  writeMessage(schema, version, writer, value);
  return concatBytes(writer.finish());
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

function versionsOf({ versions }: Message): number[] {
  return Array.from({ length: versions.last - versions.first + 1 }, (_, index) => versions.first + index);
}

/** The error's code and message, or undefined where there was none. Anything but an EdgelogError is thrown on. */
function refusal(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof EdgelogError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe("every message", () => {
  it.each(MESSAGES.map((schema) => [schema.name, schema] as const))(
    "%s reads back as it was written, in every version",
    (_, schema) => {
      for (const version of versionsOf(schema)) {
        fc.assert(
          fc.property(arbitraryMessage(schema, version), (value) => {
            const bytes = encode(schema, version, value);
            expect(decodeMessage(schema, version, bytes)).toEqual(value);
          }),
          { numRuns: RUNS_PER_VERSION },
        );
      }
    },
  );

  it.each(MESSAGES.map((schema) => [schema.name, schema] as const))(
    "%s, damaged or cut short, is read or refused as INVALID_REQUEST",
    (_, schema) => {
      const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
      for (const version of versionsOf(schema)) {
        fc.assert(
          fc.property(arbitraryMessage(schema, version), damage, fc.nat(), (value, changes, cut) => {
            const bytes = encode(schema, version, value);
            for (const [at, byte] of changes) bytes[at % (bytes.length + 1)] = byte;
            const whole = bytes.subarray(0, cut % 2 === 0 ? bytes.length : cut % (bytes.length + 1));
            expect(refusal(() => decodeMessage(schema, version, whole)) ?? "INVALID_REQUEST").toMatch(
              /^INVALID_REQUEST/,
            );
          }),
          { numRuns: RUNS_PER_VERSION },
        );
      }
    },
  );
});

describe("reading", () => {
  it("gives a field that the version does not carry its default", () => {
    const request = decodeMessage(fetchApi.request, 4, encode(fetchApi.request, 4, FETCH_4));
    expect(request).toMatchObject({ sessionEpoch: -1, rackId: "", forgottenTopicsData: [] });
    expect(request.topics[0]).toMatchObject({ topic: "flights", topicId: "AAAAAAAAAAAAAAAAAAAAAA" });
    expect(request.topics[0]?.partitions[0]).toMatchObject({ fetchOffset: 7, currentLeaderEpoch: -1 });
  });

  it("leaves alone what follows the message, as librdkafka's Metadata v13 needs it", () => {
    const bytes = hex("00 01 00 00 00");
    expect(decodeMessage(metadataApi.request, 13, bytes).topics).toBeNull();
    expect(decodeMessage(metadataApi.request, 13, concatBytes([bytes, hex("ff ff ff")])).topics).toBeNull();
  });

  it("skips tagged fields that it does not know, and reads those that it knows", () => {
    const schema = message({
      name: "M",
      versions: "0+",
      flexible: 0,
      fields: { a: int8(), b: int32().tag(1) },
    });
    expect(decodeMessage(schema, 0, hex("05  02  00 03 aabbcc  01 04 00000007"))).toEqual({ a: 5, b: 7 });
    expect(decodeMessage(schema, 0, hex("05  01  09 00"))).toEqual({ a: 5, b: 0 });
  });

  it("refuses a tagged field that does not keep to its size", () => {
    const schema = message({ name: "M", versions: "0+", flexible: 0, fields: { a: string().tag(0) } });
    expect(refusal(() => decodeMessage(schema, 0, hex("01  00 02 04 616263")))).toBe(
      "INVALID_REQUEST: M v0: a is longer than the 2 bytes of its tag",
    );
  });

  it("gives records as a view of the frame", () => {
    const records = new Uint8Array(100).fill(7);
    const bytes = encode(produceApi.request, 9, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: "flights", partitionData: [{ index: 0, records }] }],
    });
    const request = decodeMessage(produceApi.request, 9, bytes);
    const read = request.topicData[0]?.partitionData[0]?.records;
    expect(read).toEqual(records);
    expect(read?.buffer).toBe(bytes.buffer);
  });

  it("takes no memory for elements that the bytes cannot hold", () => {
    const request = hex("7fff ffff");
    expect(refusal(() => decodeMessage(metadataApi.request, 0, request))).toBe(
      "INVALID_REQUEST: Metadata request v0: an array at byte 4 says it has 2147483647 elements, but only 0 bytes are left",
    );
  });

  it("bounds the elements of all arrays of a message together", () => {
    const schema = message({ name: "M", versions: "0+", fields: { lists: array({ items: array(int8()) }) } });
    const items = new Uint8Array(KAFKA_ARRAY_ELEMENTS_MAX / 2);
    const list = concatBytes([hex("0001e848"), items]);
    expect(items.length).toBe(0x1e848);
    expect(refusal(() => decodeMessage(schema, 0, concatBytes([hex("00000001"), list])))).toBeUndefined();
    expect(refusal(() => decodeMessage(schema, 0, concatBytes([hex("00000002"), list, list])))).toMatch(
      /^INVALID_REQUEST: M v0: its arrays have more than 250000 elements in all/,
    );
  });

  it.each([
    ["null where there must be a value", "ffff", "a field is null that must not be"],
    ["a negative length", "fffe", "a length is -2"],
    ["a length beyond the end", "0005 6162", "5 bytes are needed at byte 2, but only 2 are left"],
  ])("refuses %s", (_, bytes, problem) => {
    const schema = message({ name: "M", versions: "0+", fields: { a: string() } });
    expect(refusal(() => decodeMessage(schema, 0, hex(bytes)))).toBe(`INVALID_REQUEST: M v0: ${problem}`);
  });

  it.each(["ffffffff1f", "8080808080 00", "ffffffffff"])("refuses the varint %s", (bytes) => {
    const schema = message({ name: "M", versions: "0+", flexible: 0, fields: { a: string() } });
    expect(refusal(() => decodeMessage(schema, 0, hex(bytes)))).toMatch(/has more than 32 bits$/);
  });

  it("refuses a version that does not exist", () => {
    expect(refusal(() => decodeMessage(fetchApi.request, 3, hex("")))).toBe(
      "UNSUPPORTED_VERSION: Fetch request has the versions 4 to 18, not 3",
    );
  });

  it("reads an int64 beyond 2^53 as the nearest number", () => {
    const schema = message({ name: "M", versions: "0+", fields: { a: int64() } });
    const read = (bytes: string) => decodeMessage(schema, 0, hex(bytes)).a;
    expect(read("7fffffffffffffff")).toBe(2 ** 63);
    expect(read("8000000000000000")).toBe(-(2 ** 63));
    expect(read("0020000000000001")).toBe(2 ** 53);
    expect(read("ffffffffffffffff")).toBe(-1);
  });
});

describe("writing", () => {
  it("leaves out a tagged field that has its default", () => {
    const write = (leaderEpoch: number) =>
      encode(fetchApi.response, 12, {
        responses: [
          {
            topic: "",
            topicId: "",
            partitions: [
              {
                partitionIndex: 0,
                errorCode: 0,
                highWatermark: 0,
                currentLeader: { leaderId: -1, leaderEpoch },
                records: null,
              },
            ],
          },
        ],
      }).length;
    // A tag, a size, two int32 and the struct's own empty tags.
    expect(write(3) - write(-1)).toBe(1 + 1 + 8 + 1);
  });

  it("puts large records into the answer as they are", () => {
    const records = new Uint8Array(100_000);
    const writer = new WireWriter();
    const topics = [{ name: "t", topicId: "", partitionData: [{ index: 0, records }] }];
    writeMessage(produceApi.request, 3, writer, { acks: 1, timeoutMs: 1, topicData: topics });
    expect(writer.finish()).toContain(records);
  });

  it("refuses in a request what the version cannot carry, unless the field may be ignored", () => {
    const old = { transactionalId: null, transactionTimeoutMs: 1 };
    expect(refusal(() => encode(initProducerIdApi.request, 2, { ...old, producerId: 5 }))).toBe(
      "UNSUPPORTED_VERSION: InitProducerId request v2: this version cannot carry producerId",
    );
    expect(refusal(() => encode(initProducerIdApi.request, 2, { ...old, producerId: -1 }))).toBeUndefined();
    expect(refusal(() => encode(fetchApi.request, 4, { ...FETCH_4, rackId: "r" }))).toBeUndefined();
  });

  it("leaves out of a response what the version cannot carry", () => {
    const response = { throttleTimeMs: 0, errorCode: 0, producerId: 1, producerEpoch: 2 };
    const more = { ...response, ongoingTxnProducerId: 7 };
    expect(encode(initProducerIdApi.response, 1, more)).toEqual(
      encode(initProducerIdApi.response, 1, response),
    );
  });

  it("names the field whose value is wrong", () => {
    const topic = { name: "t", numPartitions: 1, replicationFactor: 40_000, assignments: [], configs: [] };
    expect(refusal(() => encode(createTopicsApi.request, 7, { topics: [topic] }))).toBe(
      "INVALID_REQUEST: CreateTopics request v7: topics: replicationFactor: 40000 is not an int16",
    );
  });

  it.each([2 ** 53, 1.5, Number.NaN, "1"])("refuses %s as an int64", (value) => {
    const schema = message({ name: "M", versions: "0+", fields: { a: int64() } });
    expect(refusal(() => encode(schema, 0, { a: value }))).toMatch(
      /is not a whole number that a double holds exactly$/,
    );
  });
});

const FETCH_4 = {
  maxWaitMs: 500,
  minBytes: 1,
  topics: [
    { topic: "flights", topicId: "", partitions: [{ partition: 0, fetchOffset: 7, partitionMaxBytes: 1 }] },
  ],
};
