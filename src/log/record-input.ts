/** Records as programs write them. */

import { EdgelogError } from "../model/errors.ts";
import { HEADERS_PER_RECORD_MAX, TIMESTAMP_MS_MAX } from "../model/limits.ts";
import type { NewRecord, RecordHeader } from "./record.ts";

/** Text is sent as its UTF-8 bytes; null is Kafka's null (as a value: a tombstone). */
export type Data = string | Uint8Array | null;

export interface RecordInput {
  /** Records with equal keys go to the same partition, in order. Absent or null: any partition. */
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

/** Checks a record and turns it into bytes. Throws INVALID_RECORD. */
export function toNewRecord(record: RecordInput): NewRecord {
  if (!isRecord(record)) {
    throw new EdgelogError(
      "INVALID_RECORD",
      "a record is an object, such as { value: … }, not the value itself",
    );
  }
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

/** Programs without types send a value alone, which would pass for a record that has none: a tombstone. */
function isRecord(record: unknown): boolean {
  if (typeof record !== "object" || record === null) return false;
  return !Array.isArray(record) && !ArrayBuffer.isView(record);
}

function toHeaders(headers: unknown): RecordHeader[] {
  if (headers === undefined) return [];
  if (typeof headers !== "object" || headers === null) throw wrongHeaders();
  const list = Array.isArray(headers)
    ? headers.map(toHeader)
    : Object.entries(headers).map(([key, value]) => toHeader({ key, value }));
  if (list.length > HEADERS_PER_RECORD_MAX) {
    throw new EdgelogError(
      "INVALID_RECORD",
      `a record may have ${HEADERS_PER_RECORD_MAX} headers, not ${list.length}`,
    );
  }
  return list;
}

function toHeader(header: unknown): RecordHeader {
  if (typeof header !== "object" || header === null || !("key" in header) || typeof header.key !== "string") {
    throw wrongHeaders();
  }
  const value = "value" in header ? header.value : null;
  return { key: header.key, value: toBytes(value, `header ${header.key}`) };
}

function wrongHeaders(): EdgelogError {
  return new EdgelogError(
    "INVALID_RECORD",
    "headers must be an object of names and values, or a list of objects with key and value",
  );
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

const encoder = new TextEncoder();
