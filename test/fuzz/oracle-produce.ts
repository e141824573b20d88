/** The rules of POST …/records. */

import { judgeBatch, loneBatchBytes, recordBytes } from "./batch-rules.ts";
import { type Json, minified } from "./json-text.ts";
import { type Model, type ModelLog, type ModelRecord, ModelTopic } from "./model.ts";
import { integer, jsonObject, jsonOf, parsedText, RETENTION_MS_LEAST } from "./oracle-topics.ts";
import {
  bodyOf,
  check,
  type FuzzAnswer,
  invalid,
  type Parsed,
  textOf,
  typeOf,
  type Verdict,
  wholeNumber,
} from "./verdict.ts";

const INT32_MAX = 2 ** 31 - 1;
const INT16_MAX = 2 ** 15 - 1;
const HEADERS_MAX = 1_000;
const AHEAD_MS_MAX = 3_600_000;
const BATCH_HEADER_BYTES = 61;

interface Target {
  readonly record: ModelRecord;
  /** undefined: wherever the others without one go. */
  readonly partition: number | undefined;
}

interface Producer {
  readonly id: number;
  readonly epoch: number;
  readonly sequence: number;
}

export function judgeProduce(parsed: Parsed, model: Model): Verdict {
  const query = judgeQuery(parsed);
  if (typeof query === "string") return invalid(query);
  const known = parsed.topic;
  if (known === undefined && model.collides(parsed.topicName)) return invalid("the name is taken");
  const topic = known ?? new ModelTopic(model.defaultPartitions);
  const request =
    typeOf(parsed.request) === "application/vnd.kafka.recordbatch"
      ? rawRequest(parsed, query)
      : recordsRequest(parsed, query, topic.partitions);
  if (typeof request === "string") return invalid(request);
  const { records, producer } = request;
  for (const { record, partition } of records) {
    if (partition !== undefined && partition >= topic.partitions) return invalid("no such partition");
    if ((record.timestamp ?? 0) > Date.now() + AHEAD_MS_MAX) return invalid("too far in the future");
    if (request.raw === undefined && loneBatchBytes(record) > topic.maxMessageBytes)
      return invalid("too large");
  }
  if (request.raw !== undefined && request.raw > topic.maxMessageBytes) return invalid("too large");
  const oldestMs = Date.now() - RETENTION_MS_LEAST;
  if (records.some(({ record }) => (record.timestamp ?? oldestMs) < oldestMs)) return { kind: "skip" };
  const [first] = records;
  if (producer === undefined || first?.partition === undefined) return stores(parsed, model, topic, records);
  if (request.raw === undefined) {
    // Times that the Worker chooses make the size uncertain by some bytes a record.
    const bytes = records.reduce(
      (sum, { record }) => sum + recordBytes(record, 0, 0).length,
      BATCH_HEADER_BYTES,
    );
    const most = bytes + 16 * records.length;
    if (bytes > topic.maxMessageBytes)
      return query.compression === "none" ? invalid("too large for one batch") : { kind: "skip" };
    if (most > topic.maxMessageBytes) return { kind: "skip" };
  }
  return judgeSequence(parsed, model, topic, { records, producer, partition: first.partition });
}

interface Query {
  readonly partition: number | undefined;
  readonly producerId: number | undefined;
  readonly producerEpoch: number | undefined;
  readonly baseSequence: number | undefined;
  readonly compression: string;
}

function judgeQuery({ query }: Parsed): Query | string {
  const number = (name: string, max?: number) => {
    const text = query.get(name);
    return text === undefined ? undefined : (wholeNumber(text, max) ?? Number.NaN);
  };
  const compression = query.get("compression") ?? "none";
  if (!["none", "gzip", "zstd"].includes(compression)) return "unknown compression";
  const fields = {
    partition: number("partition", INT32_MAX),
    producerId: number("producer_id"),
    producerEpoch: number("producer_epoch", INT16_MAX),
    baseSequence: number("base_sequence", INT32_MAX),
  };
  return Object.values(fields).some(Number.isNaN) ? "a parameter is no number" : { ...fields, compression };
}

interface Request {
  readonly records: readonly Target[];
  readonly producer: Producer | undefined;
  /** Bytes of a raw batch. */
  readonly raw?: number;
}

function rawRequest({ request, query: given }: Parsed, { partition }: Query): Request | string {
  if (partition === undefined) return "no partition";
  if (given.size > 1) return "a parameter that the batch itself says";
  const body = bodyOf(request);
  if (typeof body === "string") return body;
  const batch = judgeBatch(body);
  if (typeof batch === "string") return batch;
  const { producerId: id, producerEpoch: epoch, baseSequence: sequence } = batch;
  return {
    records: batch.records.map((record) => ({ record, partition })),
    producer: id < 0 ? undefined : { id, epoch, sequence },
    raw: body.length,
  };
}

function recordsRequest(parsed: Parsed, query: Query, partitions: number): Request | string {
  const body = typeOf(parsed.request) === "application/json" ? jsonRequest(parsed) : ndjsonRequest(parsed);
  if (typeof body === "string") return body;
  const both = (name: keyof Omit<Query, "compression">, max: number, field: string) => {
    if (!body.fields.has(field)) return query[name];
    const number = integer(body.fields.get(field), 0, max) ?? Number.NaN;
    return query[name] === undefined || query[name] === number ? number : Number.NaN;
  };
  const partition = both("partition", INT32_MAX, "partition");
  const id = both("producerId", Number.MAX_SAFE_INTEGER, "producer_id");
  const epoch = both("producerEpoch", INT16_MAX, "producer_epoch");
  const sequence = both("baseSequence", INT32_MAX, "base_sequence");
  if ([partition, id, epoch, sequence].some(Number.isNaN))
    return "a field that is wrong, or twice and different";
  const records: Target[] = [];
  for (const json of body.records) {
    const target = judgeRecord(json);
    if (typeof target === "string") return target;
    const named = target.partition ?? partition;
    const byKey = target.record.key === null ? undefined : murmur2Partition(target.record.key, partitions);
    records.push({ record: target.record, partition: named ?? byKey });
  }
  if (records.length === 0) return "no records";
  if (id === undefined && epoch === undefined && sequence === undefined)
    return { records, producer: undefined };
  if (id === undefined || epoch === undefined || sequence === undefined) return "half a producer";
  if (partition === undefined) return "a producer without partition";
  if (records.some((target) => target.partition !== partition)) return "a producer's record for elsewhere";
  return { records, producer: { id, epoch, sequence } };
}

interface Body {
  readonly records: readonly Json[];
  readonly fields: ReadonlyMap<string, Json>;
}

function jsonRequest(parsed: Parsed): Body | string {
  const fields = jsonObject(parsed);
  if (typeof fields === "string") return fields;
  const names = ["records", "partition", "producer_id", "producer_epoch", "base_sequence"];
  for (const name of fields.keys()) if (!names.includes(name)) return `unknown ${name}`;
  const records = fields.get("records");
  return records?.kind === "array" ? { records: records.items, fields } : "records are no list";
}

function ndjsonRequest({ request }: Parsed): Body | string {
  if (!["application/x-ndjson", "application/ndjson", "application/jsonl"].includes(typeOf(request) ?? "")) {
    return "unknown type";
  }
  const body = bodyOf(request);
  if (typeof body === "string") return body;
  const text = textOf(body);
  if (text === undefined) return "not UTF-8";
  const records: Json[] = [];
  for (const line of text.split("\n")) {
    if (/^[ \t\r]*$/.test(line)) continue;
    const json = parsedText(Buffer.from(line));
    if (typeof json === "string" || line.startsWith("\ufeff")) return String(json);
    records.push(json);
  }
  return { records, fields: new Map() };
}

function judgeRecord(json: Json): Target | string {
  if (json.kind !== "object") return "a record is no object";
  const { members } = json;
  for (const name of members.keys()) {
    if (!["key", "value", "headers", "partition", "timestamp"].includes(name)) return `unknown ${name}`;
  }
  const [key, value] = [dataOf(members.get("key")), dataOf(members.get("value"))];
  if (typeof key === "string" || typeof value === "string") return "no data";
  const headers = headersOf(members.get("headers"));
  if (typeof headers === "string") return headers;
  const number = (name: string, max: number) =>
    members.has(name) ? (integer(members.get(name), 0, max) ?? Number.NaN) : undefined;
  const [partition, timestamp] = [
    number("partition", INT32_MAX),
    number("timestamp", Number.MAX_SAFE_INTEGER),
  ];
  if (Number.isNaN(partition) || Number.isNaN(timestamp)) return "a number that is none";
  return { record: { key, value, headers, timestamp }, partition };
}

/** A string: why it is no data. */
function dataOf(json: Json | undefined): Buffer | null | string {
  if (json === undefined || json.kind === "null") return null;
  if (json.kind === "string") return json.text.isWellFormed() ? Buffer.from(json.text) : "half a character";
  const base64 = json.kind === "object" && json.members.size === 1 ? json.members.get("base64") : undefined;
  return base64 === undefined ? Buffer.from(minified(json)) : base64Of(base64);
}

function base64Of(json: Json): Buffer | string {
  if (json.kind !== "string") return "base64 is no string";
  const bytes = Buffer.from(json.text, "base64");
  return bytes.toString("base64") === json.text ? bytes : "not base64";
}

function headersOf(json: Json | undefined): [string, Buffer | null][] | string {
  if (json === undefined) return [];
  const entries: [string, Json][] = [];
  if (json.kind === "object") {
    const order: string[] = Object.keys(
      Object.fromEntries([...json.members.keys()].map((name) => [name, 0])),
    );
    for (const name of order) entries.push([name, json.members.get(name) ?? { kind: "null" }]);
  } else if (json.kind === "array") {
    for (const item of json.items) {
      if (item.kind !== "object") return "a header is no object";
      const name = item.members.get("key");
      if (name?.kind !== "string") return "a header has no name";
      for (const member of item.members.keys())
        if (!["key", "value"].includes(member)) return `unknown ${member}`;
      entries.push([name.text, item.members.get("value") ?? { kind: "null" }]);
    }
  } else return "headers are no object";
  if (entries.length > HEADERS_MAX) return "too many headers";
  const headers: [string, Buffer | null][] = [];
  for (const [name, value] of entries) {
    const isBytes = value.kind === "object" && value.members.size === 1 && value.members.has("base64");
    const bytes = value.kind === "string" || value.kind === "null" || isBytes ? dataOf(value) : "no value";
    if (typeof bytes === "string" || !name.isWellFormed()) return "no header";
    headers.push([name, bytes]);
  }
  return headers;
}

/** Kafka's rules for a producer's batch, with the last five remembered. */
function judgeSequence(
  parsed: Parsed,
  model: Model,
  topic: ModelTopic,
  batch: { readonly records: readonly Target[]; readonly producer: Producer; readonly partition: number },
): Verdict {
  const { producer, partition, records } = batch;
  const log = topic.log(partition);
  const known = log.producers.get(producer.id);
  const last = (producer.sequence + records.length - 1) % 2 ** 31;
  if (known !== undefined) {
    const repeated = known.batches.find(
      ({ first, last: end }) => first === producer.sequence && end === last,
    );
    if (known.epoch === producer.epoch && repeated !== undefined) {
      return answersWith(parsed, () =>
        records.map((_, index) => ({ partition, offset: repeated.offset + index })),
      );
    }
    if (producer.epoch < known.epoch) return invalid("an old epoch");
    const due = producer.epoch > known.epoch ? 0 : ((known.batches.at(-1)?.last ?? -1) + 1) % 2 ** 31;
    if (producer.sequence !== due) return invalid("out of order");
  }
  return stores(parsed, model, topic, records, () => {
    const before = known?.epoch === producer.epoch ? known.batches : [];
    const stored = { first: producer.sequence, last, offset: log.end - records.length };
    log.producers.set(producer.id, { epoch: producer.epoch, batches: [...before, stored].slice(-5) });
  });
}

function answersWith(
  { request }: Parsed,
  expected: (answer: readonly { partition: number; offset: number }[]) => readonly object[],
): Verdict {
  return {
    kind: "valid",
    status: 200,
    settle: (answer: FuzzAnswer) => {
      const { records } = jsonOf(answer);
      const [is, should] = [JSON.stringify(records), JSON.stringify(expected(records))];
      check(is === should, `${request.method} answered ${is.slice(0, 300)}, not ${should.slice(0, 300)}`);
    },
  };
}

function stores(
  parsed: Parsed,
  model: Model,
  topic: ModelTopic,
  records: readonly Target[],
  after: () => void = () => {},
): Verdict {
  const stored: { partition: number; offset: number; count: number }[] = [];
  const verdict = answersWith(parsed, (answered) => {
    model.topics.set(parsed.topicName, topic);
    // All records without a key and a partition go to one that the cluster chooses.
    const index = records.findIndex(({ partition }) => partition === undefined);
    const chosen = answered[index]?.partition ?? 0;
    check(chosen >= 0 && chosen < topic.partitions, `partition ${chosen} does not exist`);
    const entries = records.map(({ record, partition = chosen }) => {
      const log: ModelLog = topic.log(partition);
      log.records.push(record);
      stored.push({ partition, offset: log.end - 1, count: 1 });
      return { partition, offset: log.end - 1 };
    });
    after();
    return entries;
  });
  return { ...verdict, ...(verdict.kind === "valid" && { stored: () => stored }) };
}

/** As Kafka's `Utils.murmur2` and `BuiltInPartitioner` do it, written from their description, with BigInt. */
function murmur2Partition(key: Buffer, partitions: number): number {
  const m = 0x5bd1e995n;
  const u32 = (number: bigint) => number & 0xffffffffn;
  let hash = u32(0x9747b28cn ^ BigInt(key.length));
  const words = key.length >> 2;
  for (let word = 0; word < words; word++) {
    let k = u32(BigInt(key.readUInt32LE(word * 4)) * m);
    k = u32((k ^ (k >> 24n)) * m);
    hash = u32(hash * m) ^ k;
  }
  const tail = key.subarray(words * 4);
  if (tail.length > 0) {
    for (const [index, byte] of tail.entries()) hash ^= BigInt(byte) << BigInt(8 * index);
    hash = u32(hash * m);
  }
  hash = u32((hash ^ (hash >> 13n)) * m);
  hash ^= hash >> 15n;
  return Number(hash & 0x7fffffffn) % partitions;
}
