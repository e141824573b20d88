/** The JSON shape of a record, the same over HTTP, WebSocket and SSE. */

import type { LogRecord, RecordHeader } from "../log/record.ts";

/** A string where the bytes are UTF-8, `{"base64"}` where they are not, null where there are none. */
export type JsonBytes = string | { readonly base64: string } | null;

export interface JsonRecord {
  readonly offset: number;
  /** ms */
  readonly timestamp: number;
  readonly key: JsonBytes;
  /** Any JSON value if values are parsed (`value=json`). */
  readonly value: unknown;
  /** In order; Kafka allows a key more than once. */
  readonly headers: readonly { readonly key: string; readonly value: JsonBytes }[];
}

export interface RecordJsonOptions {
  /** `"json"`: values that are JSON texts appear as what they say; others as without it. Keys and headers never. */
  readonly value?: "json" | undefined;
}

// A byte order mark belongs to the record, and bytes that are not UTF-8 must not be replaced in silence.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The record as a value for JSON.stringify. {@link recordToJsonText} is faster and keeps large numbers exact. */
export function recordToJson(record: LogRecord, options: RecordJsonOptions = {}): JsonRecord {
  const text = options.value === "json" ? jsonText(record.value) : undefined;
  return {
    offset: record.offset,
    timestamp: record.timestamp,
    key: bytesToJson(record.key),
    value: text === undefined ? bytesToJson(record.value) : JSON.parse(text),
    headers: record.headers.map(headerToJson),
  };
}

/**
 * The record as JSON text on one line. With `value: "json"` a value's own JSON text is taken over as it stands, so
 * numbers keep all their digits.
 */
export function recordToJsonText(record: LogRecord, options: RecordJsonOptions = {}): string {
  const value =
    (options.value === "json" ? jsonText(record.value) : undefined) ??
    JSON.stringify(bytesToJson(record.value));
  const key = record.key === null ? "null" : JSON.stringify(bytesToJson(record.key));
  const headers = record.headers.length === 0 ? "[]" : JSON.stringify(record.headers.map(headerToJson));
  return `{"offset":${record.offset},"timestamp":${record.timestamp},"key":${key},"value":${value},"headers":${headers}}`;
}

export function bytesToJson(bytes: Uint8Array | null): JsonBytes {
  if (bytes === null) return null;
  return decodeUtf8(bytes) ?? { base64: base64(bytes) };
}

function headerToJson({ key, value }: RecordHeader): { key: string; value: JsonBytes } {
  return { key, value: bytesToJson(value) };
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The JSON text that the bytes are, on one line, or undefined if they are none. */
function jsonText(bytes: Uint8Array | null): string | undefined {
  const text = bytes === null ? undefined : decodeUtf8(bytes);
  if (text === undefined) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  // In a JSON text a line break can only stand between tokens.
  return text.replaceAll(/[\r\n]/g, " ");
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8_192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return btoa(binary);
}
