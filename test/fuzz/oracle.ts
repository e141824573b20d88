/**
 * Says of a request whether it is valid and what it must do, from docs and the OpenAPI descriptions alone: nothing here
 * comes from src/http. A verdict of "skip" is for what the rules leave open.
 */

import type { Model } from "./model.ts";
import { judgeConsume, judgeDeleteRecords, judgeOffsets, judgePartition } from "./oracle-partition.ts";
import { judgeProduce } from "./oracle-produce.ts";
import { judgeCreate, judgeDelete, judgeDescribe, judgeList, judgePatch } from "./oracle-topics.ts";
import {
  type FuzzRequest,
  invalid,
  isTopicName,
  type Parsed,
  type Verdict,
  valid,
  wholeNumber,
} from "./verdict.ts";

interface Route {
  readonly pattern: RegExp;
  readonly methods: Readonly<Record<string, (parsed: Parsed, model: Model) => Verdict>>;
  /** Query parameters that it knows; undefined: it does not look. */
  readonly query?: Readonly<Record<string, readonly string[]>>;
}

const ROUTES: readonly Route[] = [
  { pattern: /^\/healthz$/, methods: { GET: () => valid(200) } },
  { pattern: /^\/metrics$/, methods: { GET: () => valid(200) }, query: {} },
  { pattern: /^\/v1\/openapi\.json$/, methods: { GET: () => valid(200) } },
  { pattern: /^\/v1\/cluster$/, methods: { GET: () => valid(200) }, query: {} },
  { pattern: /^\/v1\/producers$/, methods: { POST: () => valid(201) }, query: {} },
  { pattern: /^\/v1\/tickets$/, methods: { POST: () => valid(201) }, query: {} },
  {
    pattern: /^\/v1\/topics$/,
    methods: { GET: judgeList, POST: judgeCreate },
    query: { GET: ["after", "limit"], POST: [] },
  },
  {
    pattern: /^\/v1\/topics\/(?<topic>[^/]+)$/,
    methods: { GET: judgeDescribe, PATCH: judgePatch, DELETE: judgeDelete },
    query: {},
  },
  {
    pattern: /^\/v1\/topics\/(?<topic>[^/]+)\/records$/,
    methods: { POST: judgeProduce },
    query: { POST: ["partition", "producer_id", "producer_epoch", "base_sequence", "compression"] },
  },
  {
    pattern: /^\/v1\/topics\/(?<topic>[^/]+)\/partitions\/(?<partition>[^/]+)$/,
    methods: { GET: judgePartition },
    query: {},
  },
  {
    pattern: /^\/v1\/topics\/(?<topic>[^/]+)\/partitions\/(?<partition>[^/]+)\/records$/,
    methods: { GET: judgeConsume, DELETE: judgeDeleteRecords },
    query: {
      GET: ["offset", "max_bytes", "min_bytes", "max_wait_ms", "isolation", "value"],
      DELETE: ["before_offset"],
    },
  },
  {
    pattern: /^\/v1\/topics\/(?<topic>[^/]+)\/partitions\/(?<partition>[^/]+)\/offsets$/,
    methods: { GET: judgeOffsets },
    query: { GET: ["timestamp", "isolation"] },
  },
  // Valid only as a WebSocket or an event stream, which are fuzzed by socket.ts.
  {
    pattern: /^\/v1\/topics\/(?<topic>[^/]+)\/subscribe$/,
    methods: { GET: () => invalid("no subscription") },
  },
];

export function judge(request: FuzzRequest, model: Model): Verdict {
  // As they stand in the request line: nobody tidies dots and slashes up.
  const [path = "", search = ""] = request.target.split("?", 2);
  const route = ROUTES.find(({ pattern }) => pattern.test(path));
  if (route === undefined) return invalid("no such path");
  const method = request.method === "HEAD" ? "GET" : request.method;
  const rule = route.methods[method];
  if (rule === undefined) return invalid("no such method");
  const query = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (name === "") return { kind: "skip" };
    if (route.query !== undefined) {
      if (!(route.query[method] ?? []).includes(name)) return invalid(`unknown parameter ${name}`);
      if (query.has(name)) return invalid(`${name} comes twice`);
    }
    query.set(name, value);
  }
  const { topic: encodedTopic, partition: encodedPartition } = route.pattern.exec(path)?.groups ?? {};
  const topicName = decoded(encodedTopic ?? "");
  if (encodedTopic !== undefined && !isTopicName(topicName)) return invalid("no topic name");
  const partition = wholeNumber(decoded(encodedPartition ?? "0"), 2 ** 31 - 1);
  if (partition === undefined) return invalid("no partition");
  return rule({ request, query, topicName, topic: model.topics.get(topicName), partition }, model);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
