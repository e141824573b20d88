/** One client of the Kafka port: a connection that is opened again wherever the platform listens now. Outcomes are values. */

import { parseHostsAndPorts } from "../../src/kafka/brokers.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import {
  type FieldsRead,
  type FieldsWritten,
  type Api as KafkaApi,
  ZERO_UUID,
} from "../../src/kafka/schema.ts";
import { errorRow } from "../../src/model/errors.ts";
import { RawClient } from "../kafka/raw-client.ts";
import type { Answer, Api, LogPart, ReadOptions } from "./api.ts";
import { errorNameOf } from "./kafka-errors.ts";

const PRODUCE_VERSION = 9;
const FETCH_VERSION = 11;
const ANSWER_MS_MAX = 60_000;
const ALL_REPLICAS = -1;

export class KafkaClient {
  #api: Api | undefined;
  #connection: Promise<RawClient> | undefined;

  /** The offset of the batch's first record. */
  async produce(api: Api, topic: string, partition: number, batch: Uint8Array): Promise<Answer<number>> {
    const topicData = [
      { name: topic, topicId: ZERO_UUID, partitionData: [{ index: partition, records: batch }] },
    ];
    const answer = await this.ask(api, produceApi, PRODUCE_VERSION, {
      acks: ALL_REPLICAS,
      timeoutMs: ANSWER_MS_MAX,
      topicData,
    });
    if (answer.kind !== "ok") return answer;
    const [produced] = answer.value.responses[0]?.partitionResponses ?? [];
    if (produced === undefined) throw new Error(`nothing was said of ${topic}-${partition}`);
    const { errorCode, errorMessage, baseOffset } = produced;
    return errorCode === 0 ? { kind: "ok", value: baseOffset } : refused(errorCode, errorMessage ?? "");
  }

  async read(
    api: Api,
    topic: string,
    partition: number,
    offset: number,
    { maxBytes, maxWaitMs = 0 }: ReadOptions,
  ): Promise<Answer<LogPart>> {
    const partitions = [{ partition, fetchOffset: offset, partitionMaxBytes: maxBytes }];
    const answer = await this.ask(api, fetchApi, FETCH_VERSION, {
      maxWaitMs,
      minBytes: 1,
      maxBytes,
      topics: [{ topic, topicId: ZERO_UUID, partitions }],
    });
    if (answer.kind !== "ok") return answer;
    const [fetched] = answer.value.responses[0]?.partitions ?? [];
    if (fetched === undefined) return refused(answer.value.errorCode, "nothing was said of the partition");
    const { errorCode, records, logStartOffset, highWatermark } = fetched;
    if (errorCode !== 0) return refused(errorCode, JSON.stringify({ log_start_offset: logStartOffset }));
    const batches = records ?? new Uint8Array();
    return { kind: "ok", value: { batches, logStart: logStartOffset, logEnd: highWatermark } };
  }

  /** "lost" when the connection ends before the answer. */
  async ask<A extends KafkaApi>(
    api: Api,
    message: A,
    version: number,
    request: FieldsWritten<A["request"]["fields"]>,
  ): Promise<Answer<FieldsRead<A["response"]["fields"]>>> {
    const connection = this.#connect(api);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), ANSWER_MS_MAX);
    });
    try {
      const answer = connection.then((client) => client.ask(message, version, request));
      const first = await Promise.race([answer, late]);
      if (first !== "late") return { kind: "ok", value: first };
      this.close();
      const text = `no answer within ${ANSWER_MS_MAX} ms to ${message.name}`;
      return { kind: "refused", status: 0, code: "", retriable: false, text };
    } catch (error) {
      if (this.#connection === connection) this.#connection = undefined;
      return { kind: "lost", reason: `${message.name}: ${String(error)}` };
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#connection?.then((client) => client.close()).catch(() => undefined);
    this.#connection = undefined;
  }

  #connect(api: Api): Promise<RawClient> {
    if (this.#api !== api) this.close();
    this.#api = api;
    this.#connection ??= open(api);
    return this.#connection;
  }
}

async function open({ kafka }: Api): Promise<RawClient> {
  const [broker] = parseHostsAndPorts(kafka.join());
  if (broker === undefined) throw new Error("the platform has no Kafka port");
  return RawClient.connect(broker);
}

function refused(errorCode: number, text: string): Answer<never> {
  const code = errorNameOf(errorCode);
  const { retriable } = errorRow(code);
  return { kind: "refused", status: errorCode, code, retriable, text: `${code} ${text}` };
}
