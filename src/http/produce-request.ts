/** What a produce request asks for, whichever of its two record forms it comes in. */

import { z } from "@hono/zod-openapi";
import { EdgelogError } from "../model/errors.ts";
import { HTTP_RECORDS_PER_REQUEST_MAX } from "../model/limits.ts";
import { JSON_TYPE, type NDJSON_TYPE, parseWith, readText } from "./body.ts";
import { invalid } from "./errors.ts";
import { parseJson, plainNumber } from "./json.ts";
import type { ProducerIdentity } from "./produce-plan.ts";
import { ProduceRecord } from "./records-json.ts";
import { digits, PartitionIndex } from "./schemas.ts";

const INT16_MAX = 2 ** 15 - 1;
const INT32_MAX = 2 ** 31 - 1;

const COMPRESSIONS = ["none", "gzip", "zstd"] as const;

/** Fields that a JSON body may have and that every form takes from the query string. */
export const ProduceQuery = z.strictObject({
  partition: digits({ max: INT32_MAX }).optional().openapi({
    description: "Of every record that does not name its own. Raw batches and idempotent requests need it.",
  }),
  producer_id: digits({ max: Number.MAX_SAFE_INTEGER }).optional(),
  producer_epoch: digits({ max: INT16_MAX }).optional(),
  base_sequence: digits({ max: INT32_MAX }).optional().openapi({
    description: "How many records this producer has sent to the partition before, modulo 2^31.",
  }),
  compression: z
    .enum(COMPRESSIONS)
    .optional()
    .openapi({ description: "Of the batches that the records are put into; `none` if absent." }),
});

const integer = (max: number) => z.preprocess(plainNumber, z.int().min(0).max(max).optional());

export const ProduceBody = z
  .strictObject({
    records: z.array(ProduceRecord).min(1).max(HTTP_RECORDS_PER_REQUEST_MAX),
    partition: z.preprocess(plainNumber, PartitionIndex.optional()).openapi({ type: "integer", minimum: 0 }),
    producer_id: integer(Number.MAX_SAFE_INTEGER).openapi({ type: "integer", format: "int64", minimum: 0 }),
    producer_epoch: integer(INT16_MAX).openapi({ type: "integer", minimum: 0, maximum: INT16_MAX }),
    base_sequence: integer(INT32_MAX).openapi({ type: "integer", minimum: 0, maximum: INT32_MAX }),
  })
  .openapi("ProduceRequest");

export interface ProduceRequest {
  readonly records: readonly ProduceRecord[];
  /** Of records that do not name theirs. */
  readonly partition: number | undefined;
  readonly producer: ProducerIdentity | undefined;
  readonly compression: (typeof COMPRESSIONS)[number] | undefined;
}

/** @throws EdgelogError INVALID_REQUEST and what reading a body throws */
export async function readProduceRequest(
  request: Request,
  type: typeof JSON_TYPE | typeof NDJSON_TYPE,
  query: z.infer<typeof ProduceQuery>,
): Promise<ProduceRequest> {
  const text = await readText(request);
  const body =
    type === JSON_TYPE ? parseWith(ProduceBody, parseJson(text, "The body")) : { records: parseLines(text) };
  const fields = merged(body, query);
  const producer = producerOf(fields);
  if (producer !== undefined) {
    if (fields.partition === undefined) throw invalid("An idempotent request names its partition.");
    const stray = body.records.findIndex(
      ({ partition = fields.partition }) => partition !== fields.partition,
    );
    if (stray !== -1) {
      throw invalid(
        `records.${stray}: the records of an idempotent request all go to its partition, ${fields.partition}.`,
      );
    }
  }
  return { records: body.records, partition: fields.partition, producer, compression: query.compression };
}

type Fields = Partial<
  Record<"partition" | "producer_id" | "producer_epoch" | "base_sequence", number | undefined>
>;

function parseLines(text: string): ProduceRecord[] {
  const records: ProduceRecord[] = [];
  let number = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end);
    start = end + 1;
    number++;
    if (/^[ \t\r]*$/.test(line)) continue;
    if (records.length === HTTP_RECORDS_PER_REQUEST_MAX) {
      throw new EdgelogError(
        "CONTENT_TOO_LARGE",
        `A request carries at most ${HTTP_RECORDS_PER_REQUEST_MAX} records; send several.`,
      );
    }
    records.push(parseWith(ProduceRecord, parseJson(line, `Line ${number}`), `line ${number}`));
  }
  if (records.length === 0) throw invalid("The body has no records.");
  return records;
}

/** The body's fields beside the query string's; one that stands in both must say the same. */
function merged(body: Fields, query: Fields): Fields {
  const fields: Fields = {};
  for (const name of ["partition", "producer_id", "producer_epoch", "base_sequence"] as const) {
    const [inBody, inQuery] = [body[name], query[name]];
    if (inBody !== undefined && inQuery !== undefined && inBody !== inQuery) {
      throw invalid(`${name} is ${inBody} in the body and ${inQuery} in the query string.`);
    }
    fields[name] = inBody ?? inQuery;
  }
  return fields;
}

function producerOf(fields: Fields): ProducerIdentity | undefined {
  const { producer_id: producerId, producer_epoch: producerEpoch, base_sequence: baseSequence } = fields;
  if (producerId === undefined && producerEpoch === undefined && baseSequence === undefined) return undefined;
  if (producerId === undefined || producerEpoch === undefined || baseSequence === undefined) {
    throw invalid("producer_id, producer_epoch and base_sequence come together, with partition.");
  }
  return { producerId, producerEpoch, baseSequence };
}
