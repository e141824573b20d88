/**
 * What the Kafka protocol costs besides its bytes, in microseconds per message. Targets: a Produce request is read in 1 to
 * 3, a Fetch response of ten partitions written in less than 60.
 */

import { encodeRequest, encodeResponse, readRequest, readRequestHeader } from "../src/kafka/frame.ts";
import { fetchApi } from "../src/kafka/messages/fetch.ts";
import { metadataApi } from "../src/kafka/messages/metadata.ts";
import { produceApi } from "../src/kafka/messages/produce.ts";
import type { Api, RequestOf } from "../src/kafka/schema.ts";
import { WireReader } from "../src/kafka/wire-reader.ts";
import { concatBytes } from "../src/model/bytes.ts";
import { median } from "./harness/latencies.ts";
import type { Question } from "./harness/question.ts";

const ROUNDS = 15;
const MESSAGES_PER_ROUND = 2_000;
const TOPIC_ID = "dGhpcyBpcyBhIHRvcGljIQ";
const RECORDS = new Uint8Array(65_536);
const LENGTH_PREFIX_BYTES = 4;

export const kafkaCodec: Question = {
  name: "kafka-codec",
  title: "Reading and writing Kafka's messages",
  async answer(bench) {
    const measured = [...works()].map(([name, work], index): [string, number] => {
      bench.progress(name, index / 5);
      return [name, microseconds(work)];
    });
    const slowest = (what: string) =>
      Math.max(...measured.filter(([name]) => name.startsWith(what)).map(([, each]) => each));
    return {
      tables: [
        { title: "Per message (median)", columns: ["message", { name: "µs", digits: 2 }], rows: measured },
      ],
      targets: [
        {
          target: "Reading a Produce request",
          measured: slowest("read Produce"),
          bound: { atMost: 3 },
          unit: "µs",
        },
        {
          target: "Writing a Fetch answer of ten partitions",
          measured: slowest("write Fetch"),
          bound: { atMost: 60 },
          unit: "µs",
        },
      ],
    };
  },
};

function* works(): Generator<[string, () => unknown]> {
  for (const version of [7, 13]) {
    const frame = produceFrame(version);
    yield [`read Produce v${version}, one partition`, () => readFrame(produceApi, frame)];
  }
  for (const version of [11, 18]) {
    const response = fetchResponse(10);
    yield [
      `write Fetch v${version}, ten partitions of 64 KiB`,
      () => encodeResponse(fetchApi, version, 1, response),
    ];
  }
  const many = metadataResponse(1_000);
  yield ["write Metadata v13, 1,000 partitions", () => encodeResponse(metadataApi, 13, 1, many)];
}

function microseconds(work: () => unknown): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const startMs = performance.now();
    for (let count = 0; count < MESSAGES_PER_ROUND; count++) work();
    return ((performance.now() - startMs) * 1_000) / MESSAGES_PER_ROUND;
  });
  return median(rounds);
}

function readFrame<A extends Api>(api: A, frame: Uint8Array): RequestOf<A> {
  const reader = new WireReader(frame);
  const { apiVersion } = readRequestHeader(reader);
  return readRequest(api, apiVersion, reader);
}

function produceFrame(version: number): Uint8Array {
  const topic = { name: "flights", topicId: TOPIC_ID, partitionData: [{ index: 3, records: RECORDS }] };
  const header = { correlationId: 1, clientId: "bench" };
  const request = { acks: -1, timeoutMs: 30_000, topicData: [topic] };
  return concatBytes(encodeRequest(produceApi, version, header, request)).subarray(LENGTH_PREFIX_BYTES);
}

function fetchResponse(count: number) {
  const partitions = Array.from({ length: count }, (_, partitionIndex) => ({
    partitionIndex,
    errorCode: 0,
    highWatermark: 123_456,
    lastStableOffset: 123_456,
    logStartOffset: 0,
    records: RECORDS,
  }));
  return { responses: [{ topic: "flights", topicId: TOPIC_ID, partitions }] };
}

function metadataResponse(count: number) {
  const brokers = [{ nodeId: 0, host: "127.0.0.1", port: 9092 }];
  const partitions = Array.from({ length: count }, (_, partitionIndex) => ({
    errorCode: 0,
    partitionIndex,
    leaderId: 0,
    leaderEpoch: 0,
    replicaNodes: [0],
    isrNodes: [0],
  }));
  const topics = [{ errorCode: 0, name: "flights", topicId: TOPIC_ID, partitions }];
  return { brokers, clusterId: TOPIC_ID, controllerId: 0, topics };
}
