/** POST /v1/topics/{topic}/records */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { rawBatchProblem } from "../cluster/produce-plan.ts";
import { checkedTopic, produceRecords, type Stored } from "../cluster/produce-records.ts";
import { decodeBatch } from "../log/batch.ts";
import { validateBatch } from "../log/batch-header.ts";
import { releaseBytes } from "../model/bytes.ts";
import { EdgelogError, isFailure, unwrap } from "../model/errors.ts";
import { HTTP_BODY_BYTES_MAX, HTTP_RECORDS_PER_REQUEST_MAX } from "../model/limits.ts";
import { noSuchPartition } from "../model/topic.ts";
import { bodyType, JSON_TYPE, NDJSON_TYPE, RECORD_BATCH_TYPE, readBody } from "./body.ts";
import { newRoutes } from "./context.ts";
import { ErrorDetail, errorDetail, errorResponse, errorResponses, invalid } from "./errors.ts";
import { ProduceBody, ProduceQuery, readProduceRequest } from "./produce-request.ts";
import { HeaderValue } from "./records-json.ts";
import { documentedAnswer, json, Offset, TopicParams } from "./schemas.ts";
import { commaSeparated, textStream } from "./text-stream.ts";

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
        "REQUEST_TIMED_OUT",
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
      return produceBatch(cluster, topic, query, await readBody(c.req.raw), entries);
    }
    const nowMs = Date.now();
    const { records, ...how } = await readProduceRequest(c.req.raw, type, query, nowMs);
    return answerOf(await produceRecords(cluster, topic, records, { ...how, nowMs }));
  },
);

async function produceBatch(
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
  await checkedTopic(cluster, name, (topic) => {
    if (partition >= topic.partitions) throw EdgelogError.from(noSuchPartition(topic, partition));
    const problem = rawBatchProblem(topic, header, nowMs);
    if (problem !== undefined) throw EdgelogError.from(problem);
  });
  const { recordsCount } = header;
  const { baseOffset } = unwrap(await cluster.append(name, partition, batch));
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
  return streamed(entriesOf(stored), first === undefined ? 200 : 207);
}

function* entriesOf(stored: readonly Stored[]): Generator<string> {
  for (const each of stored) yield entryOf(each);
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
