/** Records as applications see them: what goes in, and what comes out. */

import type { LogRecord, NewRecord, RecordHeader } from "../log/record.ts";
import { EdgelogError } from "../model/errors.ts";
import { HEADERS_PER_RECORD_MAX, TIMESTAMP_MS_MAX } from "../model/limits.ts";

/** Text is sent as its UTF-8 bytes; null is Kafka's null (as a value: a tombstone). */
export type Data = string | Uint8Array | null;

/** A record to produce. */
export interface ProducerRecord {
  /** Absent: the producer's `topic`. */
  readonly topic?: string;
  /** Records with equal keys go to the same partition, in order. Absent or null: the sticky partition. */
  readonly key?: Data;
  /** Absent or null: a tombstone. */
  readonly value?: Data;
  /** By name, or as a list where names repeat. */
  readonly headers?:
    | Readonly<Record<string, Data>>
    | readonly { readonly key: string; readonly value: Data }[];
  /** 0-based; absent: chosen by the key. */
  readonly partition?: number;
  /** ms since 1970; absent: now. */
  readonly timestamp?: number;
}

/** Where a record was stored. */
export interface RecordMetadata {
  readonly topic: string;
  /** 0-based. */
  readonly partition: number;
  /** -1 with `acks: 0`, where nobody says. */
  readonly offset: number;
}

/** A record as consumed. */
export class ConsumedRecord implements LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970: the producer's time, or the leader's where the topic has `message.timestamp.type=LogAppendTime`. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];

  constructor(topic: string, partition: number, record: LogRecord) {
    this.topic = topic;
    this.partition = partition;
    this.offset = record.offset;
    this.timestamp = record.timestamp;
    this.key = record.key;
    this.value = record.value;
    this.headers = record.headers;
  }

  /** The value as UTF-8 text; null for a tombstone. */
  text(): string | null {
    return textOf(this.value);
  }

  /** The key as UTF-8 text. */
  keyText(): string | null {
    return textOf(this.key);
  }

  /** The value parsed as JSON; null for a tombstone. Throws SyntaxError where it is not JSON. */
  json(): unknown {
    const text = this.text();
    return text === null ? null : JSON.parse(text);
  }

  /** The last header of that name, as UTF-8 text; undefined where there is none. */
  header(name: string): string | null | undefined {
    const header = this.headers.findLast(({ key }) => key === name);
    return header && textOf(header.value);
  }
}

/** Checks a record and turns it into bytes. Throws INVALID_RECORD. */
export function toNewRecord(record: ProducerRecord): NewRecord {
  const timestamp = record.timestamp ?? Date.now();
  if (!Number.isInteger(timestamp) || timestamp < 0 || timestamp > TIMESTAMP_MS_MAX) {
    throw new EdgelogError("INVALID_RECORD", `timestamp must be ms since 1970, not ${timestamp}`);
  }
  const headers = toHeaders(record.headers);
  const bytes = {
    timestamp,
    key: toBytes(record.key, "key"),
    value: toBytes(record.value, "value"),
  };
  return headers.length === 0 ? bytes : { ...bytes, headers };
}

function toHeaders(headers: ProducerRecord["headers"]): RecordHeader[] {
  if (headers === undefined) return [];
  const list = isList(headers)
    ? headers.map(({ key, value }) => ({ key, value: toBytes(value, `header ${key}`) }))
    : Object.entries(headers).map(([key, value]) => ({ key, value: toBytes(value, `header ${key}`) }));
  if (list.length > HEADERS_PER_RECORD_MAX) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `a record may have ${HEADERS_PER_RECORD_MAX} headers, not ${list.length}`,
    );
  }
  return list;
}

/** Array.isArray does not narrow a readonly array. */
function isList<T, O>(value: readonly T[] | O): value is readonly T[] {
  return Array.isArray(value);
}

function toBytes(data: unknown, what: string): Uint8Array | null {
  if (data === null || data === undefined) return null;
  if (typeof data === "string") return encoder.encode(data);
  if (data instanceof Uint8Array) return data;
  throw new EdgelogError(
    "INVALID_RECORD",
    `${what} must be a string, a Uint8Array or null, not ${typeof data}; JSON.stringify() makes a string of anything else`,
  );
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : decoder.decode(bytes);
}

const encoder = new TextEncoder();
// A byte order mark is data like any other.
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
