/** GET /v1/topics/{topic}/partitions/{partition}/records */

import { createRoute, z } from "@hono/zod-openapi";
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, type LogBounds } from "../../durable-objects/partition/rpc.ts";
import { Cluster, type ReadAnswer } from "../cluster/cluster.ts";
import { answerBytes, type Hold } from "../cluster/in-flight.ts";
import { decodeBatches } from "../log/batch.ts";
import { sliceFrom } from "../log/batch-header.ts";
import { visibleBatches } from "../log/committed-batches.ts";
import { releaseBytes } from "../model/bytes.ts";
import { type Failure, isFailure, unwrap } from "../model/errors.ts";
import { ISOLATIONS } from "../model/isolation.ts";
import { READ_BYTES_DEFAULT, READ_BYTES_MAX, READ_WAIT_MS_MAX } from "../model/limits.ts";
import { recordToJsonText } from "../subscribe/record-json.ts";
import { JSON_TYPE, NDJSON_TYPE, RECORD_BATCH_TYPE } from "./body.ts";
import { newRoutes } from "./context.ts";
import { boundsBeside, errorResponse, errorResponses } from "./errors.ts";
import { negotiate } from "./negotiation.ts";
import { digits, digitsOr, documentedAnswer, Offset, PartitionParams } from "./schemas.ts";
import { byteStream, commaSeparated, textStream } from "./text-stream.ts";

const ConsumeQuery = z.strictObject({
  offset: digitsOr(["earliest", "latest"])
    .optional()
    .openapi({ description: "The first record wanted; `earliest` (the log start) if absent." }),
  max_bytes: digits({ min: 1, max: READ_BYTES_MAX })
    .optional()
    .openapi({
      description: `Of batches as they are stored; at least one comes whatever its size. ${READ_BYTES_DEFAULT} if absent.`,
    }),
  min_bytes: digits({ max: READ_BYTES_MAX })
    .optional()
    .openapi({ description: "The answer waits for so much, for max_wait_ms at most; 1 if absent." }),
  max_wait_ms: digits({ max: READ_WAIT_MS_MAX })
    .optional()
    .openapi({ description: "0 if absent: answer at once." }),
  isolation: z.enum(ISOLATIONS).optional().openapi({
    description:
      "`read_committed`: no records of transactions that are open or aborted, and nothing behind the first open one; an answer may hold no record though its next_offset has moved on. `read_uncommitted` if absent.",
  }),
  value: z.enum(["json"]).optional().openapi({
    description: "`json`: values that are JSON texts appear as what they say, others as without it.",
  }),
});

const Data = z.union([z.string(), z.object({ base64: z.string() }), z.null()]).openapi("Data", {
  description:
    'A string where the bytes are UTF-8, `{"base64"}` where they are not, null where there are none.',
});

export const ConsumedRecord = z
  .object({
    offset: Offset,
    timestamp: z.int().openapi({ format: "int64", description: "ms since 1970" }),
    key: Data,
    value: z.unknown().openapi({ description: "As key; with `value=json` any JSON." }),
    headers: z.array(z.object({ key: z.string(), value: Data })),
  })
  .openapi("ConsumedRecord");

const ConsumeAnswer = z
  .object({
    records: z.array(ConsumedRecord),
    next_offset: Offset.openapi({ description: "Where the next read begins." }),
    high_watermark: Offset,
    log_start_offset: Offset,
  })
  .openapi("ConsumeAnswer");

/** Said of every form, and the only place for it in those that are records alone. */
const positionHeaders = z.object({
  "Edgelog-Next-Offset": z.string().openapi({ description: "Where the next read begins." }),
  "Edgelog-High-Watermark": z.string(),
  "Edgelog-Log-Start-Offset": z.string(),
});

export const consumeRoutes = newRoutes();

consumeRoutes.openapi(
  createRoute({
    method: "get",
    path: "/v1/topics/{topic}/partitions/{partition}/records",
    tags: ["records"],
    summary: "Consume records from an offset on",
    description:
      "The answer is streamed. In `application/vnd.kafka.recordbatch` it is whole batches as they are stored; the first may begin with records before the offset asked for.",
    request: { params: PartitionParams, query: ConsumeQuery },
    responses: {
      200: documentedAnswer({
        description: "Records; none at the log end.",
        headers: positionHeaders,
        content: {
          [JSON_TYPE]: { schema: ConsumeAnswer },
          [NDJSON_TYPE]: { schema: ConsumedRecord },
          [RECORD_BATCH_TYPE]: { schema: { type: "string", format: "binary" } },
        },
      }),
      ...errorResponses(
        "UNKNOWN_TOPIC_OR_PARTITION",
        "INVALID_TOPIC_EXCEPTION",
        "OFFSET_OUT_OF_RANGE",
        "NOT_ACCEPTABLE",
        "THROTTLING_QUOTA_EXCEEDED",
        "KAFKA_STORAGE_ERROR",
      ),
    },
  }),
  async (c) => {
    const type = negotiate(c.req.header("accept"), [JSON_TYPE, NDJSON_TYPE, RECORD_BATCH_TYPE]);
    const { topic, partition } = c.req.valid("param");
    const query = c.req.valid("query");
    const cluster = new Cluster(c.env);
    const maxBytes = answerBytes.share(query.max_bytes ?? READ_BYTES_DEFAULT);
    const found = await read(cluster, topic, partition, { ...query, max_bytes: maxBytes }, c.req.raw.signal);
    if (isFailure(found)) return errorResponse(found, boundsBeside(found));
    // Others may have taken the room meanwhile.
    const fitting = within(found, answerBytes.share(found.batches.length));
    const hold = answerBytes.hold();
    hold.grow(fitting.batches.length);
    return answer(type, fitting, query.value, hold);
  },
);

interface Found extends ReadAnswer {
  readonly offset: number;
}

async function read(
  cluster: Cluster,
  topic: string,
  partition: number,
  query: z.infer<typeof ConsumeQuery> & { readonly max_bytes: number },
  signal: AbortSignal,
): Promise<Found | (Failure & Partial<LogBounds>)> {
  const { max_bytes: maxBytes, min_bytes: minBytes = 1, max_wait_ms: maxWaitMs = 0 } = query;
  const readAt = async (offset: number): Promise<Found | (Failure & Partial<LogBounds>)> => {
    const request = {
      offset,
      maxBytes,
      ...(query.isolation !== undefined && { isolation: query.isolation }),
    };
    const answer: ReadAnswer | Failure =
      maxWaitMs === 0 || minBytes === 0
        ? await cluster.read(topic, partition, request)
        : await cluster.readWaiting(topic, partition, {
            ...request,
            minBytes: Math.min(minBytes, maxBytes),
            maxWaitMs,
            signal,
          });
    return isFailure(answer) ? answer : { ...answer, offset };
  };
  const { offset: asked = "earliest" } = query;
  if (typeof asked === "number") return readAt(asked);
  const timestamp = asked === "earliest" ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP;
  const begin = async () =>
    readAt(unwrap(await cluster.listOffsets(topic, partition, timestamp, query.isolation)).offset);
  const found = await begin();
  // Retention may move the log start between the two questions.
  return isFailure(found) && found.error === "OFFSET_OUT_OF_RANGE" ? begin() : found;
}

/** Its first whole batches, at most so many bytes but at least one. */
function within(found: Found, maxBytes: number): Found {
  const { batches, offset } = found;
  if (batches.length <= maxBytes) return found;
  const fitting = sliceFrom(batches, offset, maxBytes).slice();
  releaseBytes(batches);
  return { ...found, batches: fitting };
}

function answer(type: string, found: Found, value: "json" | undefined, hold: Hold): Response {
  // From the batches' headers, so that it can be said before a record has been decoded.
  const { batches, next: nextOffset } = visibleBatches(found, found.offset);
  const headers = {
    "content-type": type,
    "cache-control": "no-store",
    "edgelog-next-offset": String(nextOffset),
    "edgelog-high-watermark": String(found.highWatermark),
    "edgelog-log-start-offset": String(found.logStartOffset),
  };
  if (type === RECORD_BATCH_TYPE) return new Response(byteStream(batches, hold), { headers });
  const records = recordTexts({ ...found, batches }, value, hold);
  const text = type === NDJSON_TYPE ? lines(records) : jsonText(records, found, nextOffset);
  return new Response(textStream(text, hold), { headers });
}

/** A compressed batch is held decompressed while its records are sent, too. */
function* recordTexts(
  { batches, offset }: Found,
  value: "json" | undefined,
  hold: Hold,
): Generator<string, void, undefined> {
  let decompressed = 0;
  const records = decodeBatches(batches, (bytes) => {
    hold.shrink(decompressed);
    decompressed = 0;
    hold.grow(bytes);
    decompressed = bytes;
  });
  for (const record of records) {
    if (record.offset >= offset) yield recordToJsonText(record, { value });
  }
}

function* jsonText(records: Iterable<string>, bounds: LogBounds, nextOffset: number): Generator<string> {
  yield '{"records":[';
  yield* commaSeparated(records);
  yield `],"next_offset":${nextOffset},"high_watermark":${bounds.highWatermark},"log_start_offset":${bounds.logStartOffset}}\n`;
}

function* lines(records: Iterable<string>): Generator<string> {
  for (const record of records) yield `${record}\n`;
}
