/** Says of a subscription and of every message on it whether it is valid, from docs/subscriptions.md alone. */

import { type Json, NotJson, parse } from "./json-text.ts";
import type { ModelLog, ModelTopic } from "./model.ts";
import { integer } from "./oracle-topics.ts";
import { wholeNumber } from "./verdict.ts";

const CREDIT_MAX = 16_777_216;
const CREDIT_DEFAULT = 1_048_576;
const MESSAGE_BYTES_MAX = 65_536;
const PARTITIONS_MAX = 1_000;

export interface SocketCase {
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Of an event stream. */
  readonly lastEventId?: string;
  readonly subprotocols: readonly string[];
  /** What the client sends, in order. */
  readonly messages: readonly (string | Buffer)[];
}

/** Where each partition must begin. `undefined` as a whole: skip the case. */
export interface Expected {
  readonly starts: ReadonlyMap<number, number>;
  readonly parsesValues: boolean;
  /** Granted before the client has consumed anything. */
  readonly credit: number;
  readonly pings: number;
}

export type SocketVerdict =
  | { readonly kind: "invalid"; readonly why: string }
  | { readonly kind: "skip" }
  | { readonly kind: "valid"; readonly expected: Expected };

const NAMES = ["offset", "timestamp", "partition", "credit_bytes", "value", "ticket"];

export function judgeSocket(
  socketCase: SocketCase,
  topic: ModelTopic,
  form: "events" | "socket",
): SocketVerdict {
  const query = new Map(socketCase.query);
  if (query.size < socketCase.query.length) return invalid("a parameter comes twice");
  for (const name of query.keys()) if (!NAMES.includes(name)) return invalid(`unknown ${name}`);
  const partition = query.has("partition")
    ? wholeNumber(query.get("partition") ?? "", 2 ** 31 - 1)
    : undefined;
  if (query.has("partition") && partition === undefined) return invalid("no partition");
  if (partition !== undefined && partition >= topic.partitions) return invalid("no such partition");
  const credit = wholeNumber(query.get("credit_bytes") ?? String(CREDIT_DEFAULT), CREDIT_MAX);
  if (credit === undefined) return invalid("no credit");
  if ((query.get("value") ?? "json") !== "json") return invalid("no value form");
  const start = startOfQuery(query);
  if (typeof start === "string") return invalid(start);
  if (typeof start?.offset === "number" && partition === undefined && topic.partitions > 1) {
    return invalid("an offset without partition");
  }
  const all = Array.from({ length: topic.partitions }, (_, index) => index);
  const listed = partition === undefined ? all : [partition];
  const parsesValues = query.get("value") === "json";
  if (form === "events") {
    const starts = eventStarts(socketCase.lastEventId, listed, start ?? { offset: "latest" }, topic);
    return typeof starts === "string"
      ? invalid(starts)
      : { kind: "valid", expected: { starts, parsesValues, credit: Number.POSITIVE_INFINITY, pings: 0 } };
  }
  const takesSubscribe = partition === undefined && start === undefined;
  const starts = new Map<number, number>();
  for (const index of takesSubscribe ? [] : listed) {
    const offset = startIn(topic.log(index), start ?? { offset: "latest" });
    if (offset === undefined) return invalid("out of range");
    starts.set(index, offset);
  }
  return judgeMessages(socketCase.messages, topic, { starts, takesSubscribe, credit, parsesValues });
}

interface Opened {
  readonly starts: Map<number, number>;
  readonly takesSubscribe: boolean;
  readonly credit: number;
  readonly parsesValues: boolean;
}

function judgeMessages(
  messages: readonly (string | Buffer)[],
  topic: ModelTopic,
  opened: Opened,
): SocketVerdict {
  const { starts, takesSubscribe, parsesValues } = opened;
  let { credit } = opened;
  let pings = 0;
  for (const text of messages) {
    if (text === "ping") {
      pings++;
      continue;
    }
    const message = typeof text === "string" ? judgeMessage(text) : "a binary frame";
    if (typeof message === "string") return invalid(message);
    credit += message.credit;
    // What has been consumed meanwhile makes room for so much more.
    if (credit > CREDIT_MAX)
      return credit > CREDIT_MAX + 1_000_000 ? invalid("too much credit") : { kind: "skip" };
    if (message.partitions === undefined) continue;
    if (!takesSubscribe) return invalid("subscribe on a socket that was opened for something");
    for (const [partition, start] of message.partitions) {
      if (partition >= topic.partitions) return invalid("no such partition");
      if (starts.has(partition)) return invalid("subscribed already");
      const offset = startIn(topic.log(partition), start);
      if (offset === undefined) return invalid("out of range");
      starts.set(partition, offset);
    }
  }
  return { kind: "valid", expected: { starts, parsesValues, credit, pings } };
}

interface Start {
  readonly offset?: number | "earliest" | "latest";
  readonly timestamp?: number;
}

interface Message {
  readonly credit: number;
  readonly partitions?: ReadonlyMap<number, Start>;
}

function judgeMessage(text: string): Message | string {
  if (Buffer.byteLength(text) > MESSAGE_BYTES_MAX) return "too long";
  let json: Json;
  try {
    ({ json } = parse(text));
  } catch (error) {
    if (error instanceof NotJson) return "not JSON";
    throw error;
  }
  if (json.kind !== "object") return "not an object";
  const { members } = json;
  const type = members.get("type");
  if (type?.kind !== "string") return "no type";
  if (type.text === "credit") {
    const bytes = integer(members.get("bytes"), 1, CREDIT_MAX);
    return bytes === undefined ? "no bytes" : { credit: bytes };
  }
  if (type.text !== "subscribe") return "unknown type";
  const credit = members.has("credit_bytes") ? integer(members.get("credit_bytes"), 0, CREDIT_MAX) : 0;
  if (credit === undefined) return "no credit";
  const listed = members.get("partitions");
  if (listed?.kind !== "array" || listed.items.length === 0 || listed.items.length > PARTITIONS_MAX)
    return "no partitions";
  const partitions = new Map<number, Start>();
  for (const item of listed.items) {
    if (item.kind !== "object") return "a partition is no object";
    const partition = integer(item.members.get("partition"), 0, 2 ** 31 - 1);
    const start = startOfMembers(item.members);
    if (partition === undefined || start === undefined) return "no partition or start";
    if (partitions.has(partition)) return "a partition twice";
    partitions.set(partition, start);
  }
  return { credit, partitions };
}

function startOfMembers(members: ReadonlyMap<string, Json>): Start | undefined {
  const [offset, timestamp] = [members.get("offset"), members.get("timestamp")];
  if ((offset === undefined) === (timestamp === undefined)) return undefined;
  if (offset?.kind === "string") {
    return offset.text === "earliest" || offset.text === "latest" ? { offset: offset.text } : undefined;
  }
  const number = integer(offset ?? timestamp, 0, Number.MAX_SAFE_INTEGER);
  if (number === undefined) return undefined;
  return offset === undefined ? { timestamp: number } : { offset: number };
}

function startOfQuery(query: ReadonlyMap<string, string>): Start | string | undefined {
  const [offset, timestamp] = [query.get("offset"), query.get("timestamp")];
  if (offset !== undefined && timestamp !== undefined) return "offset and timestamp";
  if (offset === "earliest" || offset === "latest") return { offset };
  if (offset === undefined && timestamp === undefined) return undefined;
  const number = wholeNumber(offset ?? timestamp ?? "");
  if (number === undefined) return "no start";
  return offset === undefined ? { timestamp: number } : { offset: number };
}

/** undefined: not in the log. */
function startIn(log: ModelLog, { offset, timestamp = 0 }: Start): number | undefined {
  if (offset === "earliest") return log.start;
  if (offset === "latest") return log.end;
  if (offset !== undefined) return offset >= log.start && offset <= log.end ? offset : undefined;
  const index = log.records.findIndex(
    (record, at) => at >= log.start && (record.timestamp ?? 0) >= timestamp,
  );
  return index === -1 ? log.end : index;
}

/** `Last-Event-ID` stands above the query; partitions that it does not know begin at their beginning. */
function eventStarts(
  lastEventId: string | undefined,
  listed: readonly number[],
  start: Start,
  topic: ModelTopic,
): ReadonlyMap<number, number> | string {
  const positions = new Map<number, number>();
  for (const part of lastEventId === undefined || lastEventId === "" ? [] : lastEventId.split(",")) {
    const [, partition = "", offset = ""] = /^ *(\d{1,10}):(\d{1,16}) *$/.exec(part) ?? [];
    if (partition === "" || positions.has(Number(partition))) return "no Last-Event-ID";
    if (!listed.includes(Number(partition))) return "a position of another partition";
    positions.set(Number(partition), Number(offset));
  }
  const starts = new Map<number, number>();
  for (const index of listed) {
    const from = positions.size === 0 ? start : { offset: positions.get(index) ?? ("earliest" as const) };
    const offset = startIn(topic.log(index), from);
    if (offset === undefined) return "out of range";
    starts.set(index, offset);
  }
  return starts;
}

function invalid(why: string): SocketVerdict {
  return { kind: "invalid", why };
}
