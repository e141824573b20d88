/** Requests to every route: about half of them as they should be, the others spoilt in one way or another. */

import { gzipSync } from "node:zlib";
import { buildBatch, sealed } from "./batch-rules.ts";
import type { Model, ModelTopic } from "./model.ts";
import { ACCEPTS } from "./oracle-partition.ts";
import type { Random } from "./random.ts";
import { mutatedBytes, mutatedJson, oddNumber, recordJson, text, timestamp } from "./values.ts";
import type { FuzzRequest } from "./verdict.ts";

const JSON_TYPE = "application/json";
const SUFFIXES = ["a", "b", "c", "d.e", "d_e", "F", "g-1"];
const PRODUCER_IDS = [1_000_000_001, 1_000_000_002];

export function nextCase(random: Random, model: Model): FuzzRequest {
  const make = random.weighted<(random: Random, model: Model) => FuzzRequest>([
    [6, createTopic],
    [3, listTopics],
    [4, describeTopic],
    [5, patchTopic],
    [2, deleteTopic],
    [28, produceRecords],
    [12, produceRaw],
    [16, consume],
    [5, offsets],
    [3, deleteRecords],
    [3, describePartition],
    [3, other],
  ]);
  return spoilt(random, make(random, model));
}

function createTopic(random: Random, model: Model): FuzzRequest {
  const members = [`"name":${JSON.stringify(topicName(random, model))}`];
  if (random.chance(0.7))
    members.push(
      `"partitions":${random.pick(["1", "2", "3", "5", "1000000", "0", "1000001", "2.0", '"2"'])}`,
    );
  if (random.chance(0.6)) members.push(`"configs":${configsJson(random, false)}`);
  if (random.chance(0.1)) members.push(`"validate_only":${random.pick(["true", "false", "1", "null"])}`);
  return withJson(random, { method: "POST", target: "/v1/topics" }, `{${members.join(",")}}`);
}

function patchTopic(random: Random, model: Model): FuzzRequest {
  const topic = anyTopic(random, model);
  const members: string[] = [];
  if (random.chance(0.5)) members.push(`"partitions":${(topic.topic?.partitions ?? 1) + random.int(-1, 2)}`);
  if (random.chance(0.6)) members.push(`"configs":${configsJson(random, true)}`);
  if (random.chance(0.2)) members.push(`"validate_only":true`);
  return withJson(random, { method: "PATCH", target: `/v1/topics/${topic.path}` }, `{${members.join(",")}}`);
}

function configsJson(random: Random, nullable: boolean): string {
  const known: readonly (readonly [string, readonly string[]])[] = [
    ["retention.ms", ['"864000000"', "864000000", '"-1"', '"-2"', '"soon"', "1.5", "9e20"]],
    ["retention.bytes", ['"-1"', '"10000000000"', '"9223372036854775807"', '"9223372036854775808"']],
    ["max.message.bytes", ['"2000"', "5000", '"1900000"', '"1900001"', '"100"', '"-1"']],
    ["segment.ms", ['"604800000"', '"0"', "[]"]],
    ["file.delete.delay.ms", ['"0"', '"60000"']],
    ["min.insync.replicas", ['"1"', '"3"', '"4"']],
    ["cleanup.policy", ['"delete"', '"compact"', '"nonsense"', '""']],
    ["compression.type", ['"producer"', '"brotli"']],
    ["remote.storage.enable", ["true", '"false"', '"maybe"', "1"]],
    ["no.such.config", ['"1"']],
    ["__proto__", ['"1"']],
  ];
  const members = Array.from({ length: random.int(0, 3) }, () => {
    const [name, values] = random.pick(known);
    const value =
      nullable && random.chance(0.3)
        ? "null"
        : values[0] !== undefined && random.chance(0.5)
          ? values[0]
          : random.pick(values);
    return `${JSON.stringify(name)}:${value}`;
  });
  return `{${members.join(",")}}`;
}

function listTopics(random: Random, model: Model): FuzzRequest {
  const query: string[] = [];
  if (random.chance(0.8))
    query.push(`after=${random.pick([model.prefix, `${model.prefix}b`, "", "zzzz", "a".repeat(250)])}`);
  if (random.chance(0.5)) query.push(`limit=${random.chance(0.5) ? random.int(1, 5) : oddNumber(random)}`);
  return { method: method(random, "GET"), target: withQuery("/v1/topics", query), headers: {} };
}

function describeTopic(random: Random, model: Model): FuzzRequest {
  return { method: method(random, "GET"), target: `/v1/topics/${anyTopic(random, model).path}`, headers: {} };
}

function deleteTopic(random: Random, model: Model): FuzzRequest {
  return { method: "DELETE", target: `/v1/topics/${anyTopic(random, model).path}`, headers: {} };
}

function produceRecords(random: Random, model: Model): FuzzRequest {
  const { topic, path } = anyTopic(random, model);
  const partitions = topic?.partitions ?? 1;
  const records = Array.from(
    {
      length: random.weighted([
        [6, 1],
        [3, 3],
        [2, 8],
        [0.2, 0],
        [0.3, 60],
      ]),
    },
    () => recordJson(random, partitions),
  );
  const producer = random.chance(0.25) ? producerFields(random, topic) : {};
  if (random.chance(0.1)) producer.partition = random.int(0, partitions);
  const query = random.chance(0.1) ? [`compression=${random.pick(["none", "gzip", "zstd", "lz4", ""])}`] : [];
  const target = (inQuery: boolean) =>
    withQuery(`/v1/topics/${path}/records`, [
      ...query,
      ...(inQuery ? Object.entries(producer).map(([name, value]) => `${name}=${value}`) : []),
    ]);
  if (random.chance(0.35)) {
    const separator = random.pick(["\n", "\n\n", "\r\n"]);
    const body = records
      .map((record) => (random.chance(0.05) ? mutatedJson(random, record) : record))
      .join(separator);
    const type = random.pick([
      "application/x-ndjson",
      "application/x-ndjson",
      "application/ndjson",
      "application/jsonl",
    ]);
    return withBody(random, { method: "POST", target: target(true) }, Buffer.from(body), type);
  }
  const inQuery = random.chance(0.3);
  const fields =
    inQuery && random.chance(0.9)
      ? []
      : Object.entries(producer).map(([name, value]) => `"${name}":${value},`);
  return withJson(
    random,
    { method: "POST", target: target(inQuery) },
    `{${fields.join("")}"records":[${records.join(",")}]}`,
  );
}

/** Mostly the batch that is due next, or one that was. */
function producerFields(random: Random, topic: ModelTopic | undefined): Record<string, number> {
  const partition = random.int(0, Math.min((topic?.partitions ?? 1) - 1, 2));
  const id = random.pick(PRODUCER_IDS);
  const known = topic?.log(partition).producers.get(id);
  const due = (known?.batches.at(-1)?.last ?? -1) + 1;
  const fields: Record<string, number> = {
    partition,
    producer_id: id,
    producer_epoch: random.weighted([
      [8, known?.epoch ?? 0],
      [1, (known?.epoch ?? 0) + 1],
      [0.5, 0],
      [0.2, 40_000],
    ]),
    base_sequence: random.weighted([
      [8, due],
      [2, known === undefined ? 0 : random.pick(known.batches).first],
      [1, 0],
      [0.5, due + 1],
    ]),
  };
  if (random.chance(0.05)) delete fields[random.pick(Object.keys(fields))];
  return fields;
}

function produceRaw(random: Random, model: Model): FuzzRequest {
  const { topic, path } = anyTopic(random, model);
  const { partition = 0, ...producer } = random.chance(0.3) ? producerFields(random, topic) : {};
  let batch = rawBatch(random, producer);
  if (random.chance(0.3)) batch = spoiltBatch(random, batch);
  const query = random.chance(0.95)
    ? [`partition=${random.chance(0.9) ? partition : oddNumber(random)}`]
    : [];
  if (random.chance(0.05)) query.push(random.pick(["compression=gzip", "producer_id=1", "base_sequence=0"]));
  return withBody(
    random,
    { method: "POST", target: withQuery(`/v1/topics/${path}/records`, query) },
    batch,
    "application/vnd.kafka.recordbatch",
  );
}

/** A batch of a few records, mostly one that a producer may send. */
export function rawBatch(random: Random, producer: Readonly<Record<string, number>>): Buffer {
  const records = Array.from({ length: random.int(1, 5) }, () => ({
    key: random.chance(0.5) ? random.bytes(random.int(0, 20)) : null,
    value: random.chance(0.9) ? random.bytes(random.int(0, 200)) : null,
    headers: random.chance(0.2) ? [[text(random), random.bytes(3)] as const] : [],
    timestamp: timestamp(random),
  }));
  return buildBatch(records, {
    attributes: random.weighted([
      [6, 0],
      [1, 1],
      [1, 4],
      [0.2, 2],
      [0.2, 3],
      [0.2, 5],
      [0.2, 8],
      [0.2, 16],
      [0.2, 32],
      [0.2, 64],
    ]),
    producerId: producer.producer_id ?? -1,
    producerEpoch: Math.min(producer.producer_epoch ?? -1, 32_767),
    baseSequence: producer.base_sequence ?? -1,
  });
}

function spoiltBatch(random: Random, batch: Buffer): Buffer {
  const changed = (change: (copy: Buffer) => unknown) => {
    const copy = Buffer.from(batch);
    change(copy);
    return copy;
  };
  return random.weighted<() => Buffer>([
    [4, () => mutatedBytes(random, batch)],
    [1, () => changed((copy) => copy.writeBigInt64BE(BigInt(random.int(1, 5)), 0))],
    [1, () => sealed(changed((copy) => copy.writeInt32BE(random.int(-2, 1_000_000), 57)))],
    [1, () => sealed(changed((copy) => copy.writeInt32BE(random.int(-2, 10), 23)))],
    [1, () => sealed(changed((copy) => copy.writeBigInt64BE(9_000_000_000_000n, 35)))],
    [1, () => changed((copy) => copy.writeInt32BE(random.int(0, 5), 12))],
    [1, () => Buffer.concat([batch, batch])],
    [1, () => sealed(Buffer.from(batch.subarray(0, random.int(21, batch.length))))],
  ])();
}

function consume(random: Random, model: Model): FuzzRequest {
  const { topic, path } = anyTopic(random, model);
  const partition = anyPartition(random, topic);
  const log = topic?.log(Math.max(0, Number(partition) || 0));
  const query: string[] = [];
  if (random.chance(0.8)) {
    const offset = random.weighted([
      [6, random.int(log?.start ?? 0, log?.end ?? 0)],
      [1, (log?.end ?? 0) + 1],
      [1, 0],
    ]);
    query.push(`offset=${random.chance(0.8) ? offset : oddNumber(random)}`);
  }
  if (random.chance(0.4))
    query.push(`max_bytes=${random.chance(0.8) ? random.int(1, 5_000) : oddNumber(random)}`);
  if (random.chance(0.1))
    query.push(`min_bytes=${random.chance(0.8) ? random.int(0, 100) : oddNumber(random)}`);
  if (random.chance(0.1)) query.push(`max_wait_ms=${random.pick(["0", "1", "20", "60001", "x"])}`);
  if (random.chance(0.1))
    query.push(`isolation=${random.pick(["read_committed", "read_uncommitted", "none"])}`);
  if (random.chance(0.2)) query.push(`value=${random.pick(["json", "json", "text"])}`);
  return {
    method: method(random, "GET"),
    target: withQuery(`/v1/topics/${path}/partitions/${partition}/records`, query),
    headers: random.chance(0.6) ? { accept: random.pick(Object.keys(ACCEPTS)) } : {},
  };
}

function offsets(random: Random, model: Model): FuzzRequest {
  const { topic, path } = anyTopic(random, model);
  const wanted = [
    oddNumber(random),
    "latest",
    "earliest",
    "max-timestamp",
    "earliest-local",
    "latest-tiered",
    String(timestamp(random)),
  ];
  const query = random.chance(0.9) ? [`timestamp=${random.pick(wanted)}`] : [];
  return {
    method: method(random, "GET"),
    target: withQuery(`/v1/topics/${path}/partitions/${anyPartition(random, topic)}/offsets`, query),
    headers: {},
  };
}

function deleteRecords(random: Random, model: Model): FuzzRequest {
  const { topic, path } = anyTopic(random, model);
  const partition = anyPartition(random, topic);
  const log = topic?.log(Math.max(0, Number(partition) || 0));
  const before = random.weighted([
    [5, String(random.int(log?.start ?? 0, (log?.end ?? 0) + 1))],
    [1, "latest"],
    [2, oddNumber(random)],
  ]);
  return {
    method: "DELETE",
    target: withQuery(
      `/v1/topics/${path}/partitions/${partition}/records`,
      random.chance(0.95) ? [`before_offset=${before}`] : [],
    ),
    headers: {},
  };
}

function describePartition(random: Random, model: Model): FuzzRequest {
  const { topic, path } = anyTopic(random, model);
  return {
    method: method(random, "GET"),
    target: `/v1/topics/${path}/partitions/${anyPartition(random, topic)}`,
    headers: {},
  };
}

function other(random: Random, model: Model): FuzzRequest {
  const target = random.pick([
    "/healthz",
    "/metrics",
    "/v1/cluster",
    "/v1/openapi.json",
    "/v1/producers",
    "/v1/tickets",
    "/",
    "/v1",
    "/v1/",
    "/v2/topics",
    "/v1/topics/",
    "//v1/topics",
    "/v1/topics/../cluster",
    "/v1/topics/a/partitions",
    "/kafka",
    `/v1/topics/${model.prefix}a/subscribe`,
  ]);
  return { method: random.pick(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]), target, headers: {} };
}

// ── spoiling ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function spoilt(random: Random, request: FuzzRequest): FuzzRequest {
  if (random.chance(0.85)) return request;
  return random.weighted<() => FuzzRequest>([
    [
      2,
      () => ({
        ...request,
        target: `${request.target}${request.target.includes("?") ? "&" : "?"}${extraParameter(random)}`,
      }),
    ],
    [1, () => ({ ...request, method: random.pick(["GET", "POST", "PUT", "PATCH", "DELETE"]) })],
    [
      1,
      () => ({
        ...request,
        headers: {
          ...request.headers,
          "content-type": random.pick([
            "text/plain",
            "",
            JSON_TYPE,
            "application/json; charset=utf-16",
            "multipart/form-data; boundary=x",
          ]),
        },
      }),
    ],
    [
      1,
      () => ({
        ...request,
        headers: {
          ...request.headers,
          "content-encoding": random.pick(["br", "gzip", "identity", "gzip, gzip"]),
        },
      }),
    ],
    [
      1,
      () => ({
        ...request,
        target: request.target.replace(
          /[^/?]+(?=\?|$)/,
          encodeURIComponent(random.pick(["..x", "a b", "%", "é", "a/b", "-1", "1e1", "x".repeat(300)])),
        ),
      }),
    ],
    [
      1,
      () => (request.body === undefined ? request : { ...request, body: mutatedBytes(random, request.body) }),
    ],
  ])();
}

function extraParameter(random: Random): string {
  return random.pick([
    "ofset=1",
    "__proto__=1",
    "constructor=x",
    "offset=0",
    "partition=0",
    "limit=2",
    "pretty",
    "a%20b=c",
    "value=json&value=json",
  ]);
}

// ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function topicName(random: Random, model: Model): string {
  if (random.chance(0.9)) return model.prefix + random.pick(SUFFIXES);
  return random.pick([
    "",
    ".",
    "..",
    "a b",
    "é",
    `${model.prefix}/x`,
    `${model.prefix}${"y".repeat(250)}`,
    "a\u0000b",
  ]);
}

interface AnyTopic {
  readonly topic: ModelTopic | undefined;
  /** Escaped. */
  readonly path: string;
}

function anyTopic(random: Random, model: Model): AnyTopic {
  const names = [...model.topics.keys()];
  const name =
    names.length > 0 && random.chance(0.92) ? random.pick(names) : model.prefix + random.pick(SUFFIXES);
  const escaped = random.chance(0.05) ? name.replaceAll("a", "%61").replaceAll(".", "%2e") : name;
  return { topic: model.topics.get(name), path: escaped };
}

function anyPartition(random: Random, topic: ModelTopic | undefined): string {
  const last = (topic?.partitions ?? 1) - 1;
  if (random.chance(0.9)) return String(random.int(0, Math.min(last, 4)));
  return encodeURIComponent(random.chance(0.5) ? String(last + 1) : oddNumber(random)) || "x";
}

function method(random: Random, usual: "GET"): string {
  return random.chance(0.03) ? "HEAD" : usual;
}

function withJson(random: Random, request: { method: string; target: string }, json: string): FuzzRequest {
  const body = random.chance(0.3) ? mutatedJson(random, json) : json;
  const type = random.chance(0.9)
    ? JSON_TYPE
    : random.pick([
        "Application/JSON",
        'application/json; charset="UTF-8"',
        "application/json;charset=utf-8",
      ]);
  return withBody(random, request, Buffer.from(body), type);
}

function withBody(
  random: Random,
  request: { method: string; target: string },
  body: Buffer,
  type: string,
): FuzzRequest {
  if (random.chance(0.88)) return { ...request, headers: { "content-type": type }, body };
  const gzipped = gzipSync(body);
  // Cut somewhere in the middle: what comes after the end of gzip is for each reader to judge.
  const sent = random.chance(0.2) ? gzipped.subarray(0, random.int(0, gzipped.length - 1)) : gzipped;
  return { ...request, headers: { "content-type": type, "content-encoding": "gzip" }, body: sent };
}

function withQuery(path: string, query: readonly string[]): string {
  return query.length === 0 ? path : `${path}?${query.map(escapedParameter).join("&")}`;
}

function escapedParameter(parameter: string): string {
  const [name = "", ...value] = parameter.split("=");
  return `${name}=${encodeURIComponent(value.join("=")).replaceAll("%20", "+")}`;
}
