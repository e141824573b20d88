/** The rules of /v1/topics. */

import { type Json, NotJson, parse } from "./json-text.ts";
import { type Model, ModelTopic } from "./model.ts";
import {
  bodyOf,
  check,
  type FuzzAnswer,
  invalid,
  isTopicName,
  type Parsed,
  textOf,
  typeOf,
  type Verdict,
  valid,
  wholeNumber,
} from "./verdict.ts";

const DEPTH_MAX = 64;
const PARTITIONS_MAX = 1_000_000;
const LONG_MAX = 9_223_372_036_854_775_807n;
/** What may delete records while a run lasts is not judged: when the cluster looks for it is its own affair. */
export const RETENTION_MS_LEAST = 2 * 24 * 3_600_000;
const RETENTION_BYTES_LEAST = 1_000_000_000;

/** Only configs that the fuzzer sets; any other name is unknown. */
const CONFIGS: Readonly<Record<string, (value: string) => boolean>> = {
  "retention.ms": whole(-1n, LONG_MAX),
  "retention.bytes": whole(-1n, LONG_MAX),
  "segment.ms": whole(1n, LONG_MAX),
  "max.message.bytes": whole(0n, 1_900_000n),
  "file.delete.delay.ms": whole(0n, LONG_MAX),
  "min.insync.replicas": whole(1n, 3n),
  "cleanup.policy": (value) => value === "delete" || value === "",
  "compression.type": (value) => value === "producer",
  "remote.storage.enable": (value) => /^(true|false)$/i.test(value),
};

/** The object in a JSON body, or a reason. */
export function jsonObject(parsed: Parsed): ReadonlyMap<string, Json> | string {
  if (typeOf(parsed.request) !== "application/json") return "not JSON by its type";
  const body = bodyOf(parsed.request);
  if (typeof body === "string") return body;
  const json = parsedText(body);
  if (typeof json === "string") return json;
  return json.kind === "object" ? json.members : "not an object";
}

export function parsedText(body: Buffer): Json | string {
  const text = textOf(body);
  if (text === undefined) return "not UTF-8";
  try {
    const { json, depth } = parse(text);
    return depth > DEPTH_MAX ? "too deep" : json;
  } catch (error) {
    if (error instanceof NotJson) return error.message;
    throw error;
  }
}

/** A whole number, however JSON writes it. */
export function integer(json: Json | undefined, min: number, max: number): number | undefined {
  if (json?.kind !== "number") return undefined;
  const number = Number(json.text);
  return Number.isSafeInteger(number) && number >= min && number <= max ? number : undefined;
}

export function judgeCreate(parsed: Parsed, model: Model): Verdict {
  const body = jsonObject(parsed);
  if (typeof body === "string") return invalid(body);
  for (const name of body.keys()) {
    if (!["name", "partitions", "configs", "validate_only"].includes(name)) return invalid(`unknown ${name}`);
  }
  const name = body.get("name");
  if (name?.kind !== "string" || !isTopicName(name.text)) return invalid("no topic name");
  if (model.collides(name.text)) return invalid("the name is taken");
  const partitions = body.has("partitions")
    ? integer(body.get("partitions"), 1, PARTITIONS_MAX)
    : model.defaultPartitions;
  if (partitions === undefined) return invalid("no number of partitions");
  const configs = judgeConfigs(body.get("configs"));
  if (typeof configs === "string") return invalid(configs);
  const only = validateOnly(body);
  if (only === undefined) return invalid("validate_only is no boolean");
  if (deletesRecords(configs)) return { kind: "skip" };
  return valid(only ? 200 : 201, (answer) => {
    const created = new ModelTopic(partitions);
    for (const [config, value] of configs) if (value !== null) created.configs.set(config, value);
    checkTopic(answer, name.text, created);
    if (!only) model.topics.set(name.text, created);
  });
}

export function judgePatch(parsed: Parsed): Verdict {
  const body = jsonObject(parsed);
  if (typeof body === "string") return invalid(body);
  const { topic } = parsed;
  if (topic === undefined) return invalid("no such topic");
  for (const name of body.keys()) {
    if (!["partitions", "configs", "validate_only"].includes(name)) return invalid(`unknown ${name}`);
  }
  if (!body.has("partitions") && !body.has("configs")) return invalid("changes nothing");
  const partitions = body.has("partitions")
    ? integer(body.get("partitions"), topic.partitions + 1, PARTITIONS_MAX)
    : topic.partitions;
  if (partitions === undefined) return invalid("not more partitions");
  const configs = judgeConfigs(body.get("configs"), true);
  if (typeof configs === "string") return invalid(configs);
  const only = validateOnly(body);
  if (only === undefined) return invalid("validate_only is no boolean");
  if (deletesRecords(configs)) return { kind: "skip" };
  return valid(200, (answer) => {
    const changed = only ? new ModelTopic(topic.partitions, topic.configs) : topic;
    changed.partitions = partitions;
    for (const [config, value] of configs) {
      if (value === null) changed.configs.delete(config);
      else changed.configs.set(config, value);
    }
    // What validate_only answers of the other half of a change is not said.
    if (!only) checkTopic(answer, parsed.topicName, changed);
  });
}

export function judgeDescribe({ topic, topicName }: Parsed): Verdict {
  if (topic === undefined) return invalid("no such topic");
  return valid(200, (answer) => checkTopic(answer, topicName, topic));
}

export function judgeDelete({ topic, topicName }: Parsed, model: Model): Verdict {
  if (topic === undefined) return invalid("no such topic");
  return valid(204, () => model.topics.delete(topicName));
}

export function judgeList({ query }: Parsed, model: Model): Verdict {
  const after = query.get("after") ?? "";
  if (after.length > 249) return invalid("after is too long");
  const limit = wholeNumber(query.get("limit") ?? "1000", 1_000);
  if (limit === undefined || limit < 1) return invalid("no limit");
  return valid(200, (answer) => {
    const { topics, next_after: next } = jsonOf(answer);
    const names: string[] = topics.map((topic: { name: string }) => topic.name);
    check(names.length <= limit, "more than asked for");
    check(names.join() === [...names].sort(byBytes).join(), "not sorted");
    check(names.length < limit ? next === null : next === names.at(-1), "a wrong next_after");
    const end = next === null ? undefined : names.at(-1);
    const mine = [...model.topics.keys()].filter(
      (name) =>
        name.startsWith(model.prefix) &&
        byBytes(name, after) > 0 &&
        (end === undefined || byBytes(name, end) <= 0),
    );
    const listed = names.filter((name) => name.startsWith(model.prefix));
    check(listed.join() === mine.sort(byBytes).join(), `lists ${listed}, not ${mine}`);
  });
}

/** null: back to the default. */
function judgeConfigs(json: Json | undefined, nullable = false): Map<string, string | null> | string {
  const configs = new Map<string, string | null>();
  if (json === undefined) return configs;
  if (json.kind !== "object") return "configs are no object";
  for (const [name, value] of json.members) {
    const rule = Object.hasOwn(CONFIGS, name) ? CONFIGS[name] : undefined;
    if (rule === undefined) return `unknown config ${name}`;
    if (value.kind === "null" && nullable) configs.set(name, null);
    else if (value.kind === "string" || value.kind === "number") configs.set(name, value.text);
    else if (value.kind === "boolean") configs.set(name, String(value.is));
    else return `${name} is no value`;
    const text = configs.get(name);
    if (typeof text === "string" && !rule(text)) return `${name} cannot be ${text}`;
  }
  return configs;
}

function deletesRecords(configs: ReadonlyMap<string, string | null>): boolean {
  const isShort = (name: string, least: number) => {
    const value = Number(configs.get(name) ?? -1);
    return value >= 0 && value < least;
  };
  return isShort("retention.ms", RETENTION_MS_LEAST) || isShort("retention.bytes", RETENTION_BYTES_LEAST);
}

function validateOnly(body: ReadonlyMap<string, Json>): boolean | undefined {
  const json = body.get("validate_only");
  if (json === undefined) return false;
  return json.kind === "boolean" ? json.is : undefined;
}

function checkTopic(answer: FuzzAnswer, name: string, topic: ModelTopic): void {
  const described = jsonOf(answer);
  check(described.name === name, `is named ${described.name}, not ${name}`);
  check(
    described.partitions === topic.partitions,
    `has ${described.partitions} partitions, not ${topic.partitions}`,
  );
  const sorted = (entries: Iterable<readonly [string, unknown]>) => JSON.stringify([...entries].sort());
  const configs = sorted(Object.entries(described.configs));
  check(configs === sorted(topic.configs), `has configs ${configs}, not ${sorted(topic.configs)}`);
}

// biome-ignore lint/suspicious/noExplicitAny: what is not there is a difference that a check finds
export function jsonOf(answer: FuzzAnswer): any {
  return JSON.parse(answer.body.toString());
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function whole(min: bigint, max: bigint): (value: string) => boolean {
  return (value) => /^-?\d{1,19}$/.test(value) && BigInt(value) >= min && BigInt(value) <= max;
}
