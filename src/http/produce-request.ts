/** What a produce request asks for, whichever of its two record forms it comes in. */

import { z } from "@hono/zod-openapi";
import type { Hold } from "../cluster/in-flight.ts";
import type { ProducerIdentity } from "../cluster/produce-plan.ts";
import { PackedRecords } from "../log/packed-records.ts";
import { EdgelogError } from "../model/errors.ts";
import { HTTP_RECORDS_PER_REQUEST_MAX } from "../model/limits.ts";
import { JSON_TYPE, type NDJSON_TYPE, parseWith, withText } from "./body.ts";
import { invalid } from "./errors.ts";
import { parseJson, plainNumber } from "./json.ts";
import { parseMembers } from "./json-members.ts";
import { newRecord, ProduceRecord } from "./records-json.ts";
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

const ProduceFields = ProduceBody.omit({ records: true });

export interface ProduceRequest {
  readonly records: PackedRecords;
  /** Of records that do not name theirs. */
  readonly partition: number | undefined;
  readonly producer: ProducerIdentity | undefined;
  readonly compression: (typeof COMPRESSIONS)[number] | undefined;
}

/**
 * The body's records, each made bytes as soon as it is parsed: a hundred thousand of them are never there as objects.
 * Records without a time get `nowMs`, those without a partition the request's.
 *
 * @throws EdgelogError INVALID_REQUEST and what reading a body throws
 */
export async function readProduceRequest(
  request: Request,
  type: typeof JSON_TYPE | typeof NDJSON_TYPE,
  query: z.infer<typeof ProduceQuery>,
  nowMs: number,
): Promise<ProduceRequest> {
  const parsed = await withText(request, (text, hold) =>
    type === JSON_TYPE ? parseBody(text, nowMs, hold) : parseLines(text, nowMs, hold),
  );
  const { records, ...inBody } = parsed;
  const fields = merged(inBody, query);
  const producer = producerOf(fields);
  if (producer !== undefined) {
    if (fields.partition === undefined) throw invalid("An idempotent request names its partition.");
    checkPartition(records, fields.partition);
  }
  return { records, partition: fields.partition, producer, compression: query.compression };
}

function checkPartition(records: PackedRecords, wanted: number): void {
  for (let index = 0; index < records.length; index++) {
    if ((records.partition(index) ?? wanted) === wanted) continue;
    throw invalid(
      `records.${index}: the records of an idempotent request all go to its partition, ${wanted}.`,
    );
  }
}

type Fields = Partial<
  Record<"partition" | "producer_id" | "producer_epoch" | "base_sequence", number | undefined>
>;

function parseBody(text: string, nowMs: number, hold: Hold): Fields & { readonly records: PackedRecords } {
  const records = new HeldRecords(hold, nowMs);
  const body = parseMembers(text, "records", "The body", (element, index) => {
    if (index === 0) records.clear();
    if (index === HTTP_RECORDS_PER_REQUEST_MAX) {
      throw invalid(`records: a request carries at most ${HTTP_RECORDS_PER_REQUEST_MAX}; send several.`);
    }
    records.push(parseWith(ProduceRecord, element, ["records", index]));
  });
  if (body === undefined) throw invalid("The body must be an object with the list records.");
  if (body.length === undefined) throw invalid("records: must be the list of records.");
  if (body.length === 0) throw invalid("records: must have at least one.");
  return { ...parseWith(ProduceFields, body.members), records: records.held() };
}

function parseLines(text: string, nowMs: number, hold: Hold): { readonly records: PackedRecords } {
  const records = new HeldRecords(hold, nowMs);
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
    records.push(parseWith(ProduceRecord, parseJson(line, `Line ${number}`), [`line ${number}`]));
  }
  if (records.length === 0) throw invalid("The body has no records.");
  return { records: records.held() };
}

/** Records that are counted against the budget of all requests as they come. */
class HeldRecords {
  readonly #hold: Hold;
  readonly #nowMs: number;
  #records = new PackedRecords();
  #heldBytes = 0;

  constructor(hold: Hold, nowMs: number) {
    this.#hold = hold;
    this.#nowMs = nowMs;
  }

  get length(): number {
    return this.#records.length;
  }

  push(record: ProduceRecord): void {
    this.#records.push(newRecord(record, this.#nowMs), record.partition);
    if (this.#records.bytes - this.#heldBytes >= HELD_AT_ONCE_BYTES) this.held();
  }

  clear(): void {
    this.#records = new PackedRecords();
  }

  /** Twice what they take: they will be put into batches. */
  held(): PackedRecords {
    const bytes = this.#records.bytes;
    this.#hold.grow(2 * (bytes - this.#heldBytes));
    this.#heldBytes = bytes;
    return this.#records;
  }
}

const HELD_AT_ONCE_BYTES = 64 * 1024;

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
