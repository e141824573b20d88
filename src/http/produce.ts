/** POST /v1/topics/{topic}/records */

import { createRoute, z } from "@hono/zod-openapi";
import type { AppendResult } from "../../durable-objects/partition/rpc.ts";
import { Cluster } from "../cluster/cluster.ts";
import type { Env } from "../env.ts";
import { decodeBatch } from "../log/batch.ts";
import { validateBatch } from "../log/batch-header.ts";
import { releaseBytes } from "../model/bytes.ts";
import { EdgelogError, type Failure, failure, isFailure, unwrap } from "../model/errors.ts";
import {
  HTTP_APPENDS_IN_FLIGHT_MAX,
  HTTP_BODY_BYTES_MAX,
  HTTP_RECORDS_PER_REQUEST_MAX,
} from "../model/limits.ts";
import { noSuchPartition } from "../model/topic.ts";
import { bodyType, JSON_TYPE, NDJSON_TYPE, RECORD_BATCH_TYPE, readBody } from "./body.ts";
import { newRoutes } from "./context.ts";
import { countProduced } from "./counters.ts";
import { ErrorDetail, errorDetail, errorResponse, errorResponses, invalid } from "./errors.ts";
import { type PlannedTopic, type ProducePlan, planProduce, rawBatchProblem } from "./produce-plan.ts";
import { ProduceBody, ProduceQuery, type ProduceRequest, readProduceRequest } from "./produce-request.ts";
import { HeaderValue, newRecord } from "./records-json.ts";
import { documentedAnswer, json, Offset, TopicParams } from "./schemas.ts";
import { commaSeparated, textStream } from "./text-stream.ts";

/** Where a record went, or why it did not. */
type Stored = { readonly partition: number; readonly offset: number } | Failure;

const ProduceAnswer = z
  .object({
    records: z
      .array(z.union([z.object({ partition: z.int(), offset: Offset }), z.object({ error: ErrorDetail })]))
      .openapi({ description: "One entry per record of the request, in its order." }),
  })
  .openapi("ProduceAnswer");

const content = json(ProduceAnswer);

export const produceRoutes = newRoutes();
produceRoutes.openAPIRegistry.register("ProduceRequest", ProduceBody);
produceRoutes.openAPIRegistry.register("HeaderValue", HeaderValue);

produceRoutes.openapi(
  createRoute({
    method: "post",
    path: "/v1/topics/{topic}/records",
    tags: ["records"],
    summary: "Produce records",
    description: [
      "An answered record is durable. The records of one partition are stored in the request's order, as few batches; when one batch fails, later ones of its partition are not tried.",
      "A raw batch with `Prefer: return=minimal` is answered with its first record's entry only; the others follow it.",
      "A request that is wrong in itself (its form, a partition that does not exist, a record larger than `max.message.bytes`) is refused as a whole and stores nothing.",
      "Idempotent: `producer_id`, `producer_epoch` (from `POST /v1/producers`), `base_sequence` and `partition` make a repeated request harmless. Its records must fit into one batch.",
      `A body has at most ${HTTP_BODY_BYTES_MAX} bytes, before and after \`Content-Encoding: gzip\`, and at most ${HTTP_RECORDS_PER_REQUEST_MAX} records.`,
    ].join("\n\n"),
    request: {
      params: TopicParams,
      query: ProduceQuery,
      body: {
        required: true,
        content: {
          [JSON_TYPE]: { schema: { $ref: "#/components/schemas/ProduceRequest" } },
          [NDJSON_TYPE]: { schema: { $ref: "#/components/schemas/ProduceRecord" } },
          [RECORD_BATCH_TYPE]: {
            schema: {
              type: "string" as const,
              format: "binary",
              description:
                "One Kafka record batch (magic 2, baseOffset 0) for `?partition=`, stored byte for byte.",
            },
          },
        },
      },
    },
    responses: {
      200: documentedAnswer({ description: "Every record is stored.", content }),
      207: documentedAnswer({ description: "Some are stored; the others' entries say why not.", content }),
      ...errorResponses(
        "UNKNOWN_TOPIC_OR_PARTITION",
        "INVALID_TOPIC_EXCEPTION",
        "INVALID_RECORD",
        "INVALID_TIMESTAMP",
        "CORRUPT_MESSAGE",
        "INVALID_TXN_STATE",
        "UNSUPPORTED_COMPRESSION_TYPE",
        "MESSAGE_TOO_LARGE",
        "RECORD_LIST_TOO_LARGE",
        "CONTENT_TOO_LARGE",
        "UNSUPPORTED_MEDIA_TYPE",
        "OUT_OF_ORDER_SEQUENCE_NUMBER",
        "INVALID_PRODUCER_EPOCH",
        "THROTTLING_QUOTA_EXCEEDED",
        "KAFKA_STORAGE_ERROR",
      ),
    },
  }),
  async (c) => {
    const { topic } = c.req.valid("param");
    const query = c.req.valid("query");
    const cluster = new Cluster(c.env);
    const type = bodyType(c.req.raw, [JSON_TYPE, NDJSON_TYPE, RECORD_BATCH_TYPE]);
    if (type === RECORD_BATCH_TYPE) {
      const entries = prefersMinimal(c.req.header("prefer")) ? 1 : Number.POSITIVE_INFINITY;
      return produceBatch(c.env, cluster, topic, query, await readBody(c.req.raw), entries);
    }
    const request = await readProduceRequest(c.req.raw, type, query);
    return answerOf(await produceRecords(c.env, cluster, topic, request));
  },
);

async function produceRecords(
  env: Env,
  cluster: Cluster,
  name: string,
  request: ProduceRequest,
): Promise<Stored[]> {
  const nowMs = Date.now();
  const records = request.records.map((record) => ({
    record: newRecord(record, nowMs),
    partition: record.partition ?? request.partition,
  }));
  const options = {
    nowMs,
    random: Math.random(),
    compression: request.compression,
    producer: request.producer,
  };
  const plan = await withTopic(env, cluster, name, (topic) => planProduce(topic, records, options));
  const stored: Stored[] = new Array(records.length);
  await appendAll(cluster, name, plan, stored);
  return stored;
}

/**
 * What `check` makes of the topic, which is created only if `check` has let pass what it would be created as: a request
 * that is wrong in itself leaves no topic behind. What is wrong with a topic as it was cached is checked again.
 */
async function withTopic<T>(
  env: Env,
  cluster: Cluster,
  name: string,
  check: (topic: PlannedTopic) => T,
): Promise<T> {
  const known = await cluster.topic(name);
  if (isFailure(known)) {
    if (known.error !== "UNKNOWN_TOPIC_OR_PARTITION") throw EdgelogError.from(known);
    check({ name, partitions: Number(env.EDGELOG_NUM_PARTITIONS ?? "1"), configs: {} });
    return check(unwrap(await cluster.topicForProduce(name)));
  }
  try {
    return check(known);
  } catch {
    cluster.forget(known);
    return check(unwrap(await cluster.topic(name)));
  }
}

/** Partitions side by side, the batches of one after another. */
async function appendAll(
  cluster: Cluster,
  topic: string,
  plan: ProducePlan,
  stored: Stored[],
): Promise<void> {
  const waiting = plan.entries();
  const work = async (): Promise<void> => {
    for (const [partition, batches] of waiting) {
      let failed: Failure | undefined;
      for (const { indexes, encode } of batches) {
        const appended = failed ?? (await appendOne(cluster, topic, partition, encode(), indexes.length));
        for (const [nth, index] of indexes.entries()) {
          stored[index] = isFailure(appended) ? appended : { partition, offset: appended.baseOffset + nth };
        }
        // A later batch must not be stored before an earlier one is.
        if (failed === undefined && isFailure(appended)) {
          failed = failure(
            appended.error,
            `Not tried, an earlier batch of the partition failed: ${appended.message}`,
          );
        }
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(plan.size, HTTP_APPENDS_IN_FLIGHT_MAX) }, work));
}

async function appendOne(
  cluster: Cluster,
  topic: string,
  partition: number,
  batch: Uint8Array,
  records: number,
): Promise<AppendResult | Failure> {
  const appended = await cluster.append(topic, partition, batch);
  if (!isFailure(appended)) countProduced(records, batch.length);
  return appended;
}

async function produceBatch(
  env: Env,
  cluster: Cluster,
  name: string,
  query: z.infer<typeof ProduceQuery>,
  batch: Uint8Array,
  entriesMax: number,
): Promise<Response> {
  const { partition, ...others } = query;
  if (partition === undefined) throw invalid("A raw batch needs ?partition=.");
  const [other] = Object.keys(others);
  if (other !== undefined) throw invalid(`${other} does not go with a raw batch: the batch says it itself.`);
  const header = unwrap(validateBatch(batch));
  if (header.isTransactional)
    throw new EdgelogError("INVALID_TXN_STATE", "There are no transactions over HTTP.");
  // The log itself trusts the CRC; but what cannot be decoded would stop every reader of JSON at this offset.
  for (const _ of decodeBatch(batch));
  const nowMs = Date.now();
  await withTopic(env, cluster, name, (topic) => {
    if (partition >= topic.partitions) throw EdgelogError.from(noSuchPartition(topic, partition));
    const problem = rawBatchProblem(topic, header, nowMs);
    if (problem !== undefined) throw EdgelogError.from(problem);
  });
  const { recordsCount } = header;
  const { baseOffset } = unwrap(await appendOne(cluster, name, partition, batch, recordsCount));
  releaseBytes(batch);
  return streamed(offsetEntries(partition, baseOffset, Math.min(recordsCount, entriesMax)));
}

/** RFC 7240. */
function prefersMinimal(prefer: string | undefined): boolean {
  return prefer?.split(",").some((preference) => preference.trim() === "return=minimal") ?? false;
}

/** 200, 207, or the first failure's status if nothing was stored. */
function answerOf(stored: readonly Stored[]): Response {
  const failures = stored.filter(isFailure);
  const [first] = failures;
  if (first !== undefined && failures.length === stored.length) {
    return errorResponse(first, { records: failures.map((failed) => ({ error: errorDetail(failed) })) });
  }
  return streamed(stored.map(entryOf), first === undefined ? 200 : 207);
}

function entryOf(stored: Stored): string {
  return isFailure(stored)
    ? JSON.stringify({ error: errorDetail(stored) })
    : offsetEntry(stored.partition, stored.offset);
}

function offsetEntry(partition: number, offset: number): string {
  return `{"partition":${partition},"offset":${offset}}`;
}

function* offsetEntries(partition: number, baseOffset: number, count: number): Generator<string> {
  for (let nth = 0; nth < count; nth++) yield offsetEntry(partition, baseOffset + nth);
}

function streamed(entries: Iterable<string>, status = 200): Response {
  return new Response(textStream(answerText(entries)), { status, headers: { "content-type": JSON_TYPE } });
}

function* answerText(entries: Iterable<string>): Generator<string> {
  yield '{"records":[';
  yield* commaSeparated(entries);
  yield "]}\n";
}
