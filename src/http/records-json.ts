/** Records as JSON producers write them. How they come back to readers: subscribe/record-json.ts. */

import { z } from "@hono/zod-openapi";
import type { NewRecord, RecordHeader } from "../log/record.ts";
import { type Failure, failure, isFailure } from "../model/errors.ts";
import { HEADERS_PER_RECORD_MAX } from "../model/limits.ts";
import { plainNumber } from "./json.ts";
import { PartitionIndex } from "./schemas.ts";

declare global {
  interface Uint8ArrayConstructor {
    /** ES2026, which TypeScript's es2024 library does not know. Throws for what is not base64. */
    fromBase64(text: string, options: { readonly lastChunkHandling: "strict" }): Uint8Array<ArrayBuffer>;
  }
}

const encoder = new TextEncoder();

/** What a key or a value may be. */
const RecordData = z
  .unknown()
  .transform(parsedBy(dataBytes))
  .openapi("RecordData", {
    description:
      "A string is its UTF-8 bytes; `null` is null (as a value: a tombstone); an object whose only member is `base64` is the bytes it encodes; any other JSON is its own JSON text without white space, numbers with all their digits.",
    anyOf: [
      { type: "string" },
      { type: "null" },
      {
        type: "object",
        properties: { base64: { type: "string", format: "byte" } },
        required: ["base64"],
        additionalProperties: false,
      },
      { type: ["object", "array", "number", "boolean"], description: "Any other JSON." },
    ],
    example: { base64: "3q2+7w==" },
  });

const RecordHeaders = z
  .unknown()
  .transform(parsedBy(headerList))
  .openapi("RecordHeaders", {
    description: `At most ${HEADERS_PER_RECORD_MAX}. An object of name and value, or a list where order or a repeated name matters. A header's value is a string, {"base64"} or null.`,
    anyOf: [
      { type: "object", additionalProperties: { $ref: "#/components/schemas/HeaderValue" } },
      {
        type: "array",
        maxItems: HEADERS_PER_RECORD_MAX,
        items: {
          type: "object",
          properties: { key: { type: "string" }, value: { $ref: "#/components/schemas/HeaderValue" } },
          required: ["key"],
          additionalProperties: false,
        },
      },
    ],
    example: { "content-type": "application/json" },
  });

/** Only for the document: {@link RecordHeaders} checks. */
export const HeaderValue = z
  .union([z.string(), z.strictObject({ base64: z.base64() }), z.null()])
  .openapi("HeaderValue");

const TIMESTAMP_MAX = Number.MAX_SAFE_INTEGER;

export const ProduceRecord = z
  .strictObject({
    key: RecordData.optional(),
    value: RecordData.optional(),
    headers: RecordHeaders.optional(),
    partition: z.preprocess(plainNumber, PartitionIndex.optional()).openapi({
      type: "integer",
      minimum: 0,
      description:
        "Absent: murmur2 of the key as the Java client does it; without a key, one at random for the whole request.",
    }),
    timestamp: z.preprocess(plainNumber, z.int().min(0).max(TIMESTAMP_MAX).optional()).openapi({
      type: "integer",
      format: "int64",
      minimum: 0,
      description: "ms since 1970; absent: the Worker's clock.",
    }),
  })
  .openapi("ProduceRecord");

export type ProduceRecord = z.infer<typeof ProduceRecord>;

/** The record for the log. */
export function newRecord(record: ProduceRecord, nowMs: number): NewRecord {
  return {
    timestamp: record.timestamp ?? nowMs,
    key: record.key ?? null,
    value: record.value ?? null,
    ...(record.headers !== undefined && record.headers.length > 0 && { headers: record.headers }),
  };
}

function dataBytes(value: unknown): Uint8Array | null | Failure {
  if (typeof value === "string") return textBytes(value);
  if (value === null) return null;
  const base64 = base64Member(value);
  if (base64 !== undefined) return base64Bytes(base64);
  return encoder.encode(JSON.stringify(value));
}

function headerList(value: unknown): readonly RecordHeader[] | Failure {
  const headers: RecordHeader[] = [];
  for (const entry of headerEntries(value)) {
    if (isFailure(entry)) return entry;
    if (headers.length === HEADERS_PER_RECORD_MAX) {
      return failure("INVALID_RECORD", `a record has at most ${HEADERS_PER_RECORD_MAX} headers`);
    }
    const bytes = headerBytes(entry.value);
    if (isFailure(bytes)) return bytes;
    if (!entry.key.isWellFormed()) return notUnicode();
    headers.push({ key: entry.key, value: bytes });
  }
  return headers;
}

function* headerEntries(value: unknown): Generator<{ key: string; value: unknown } | Failure> {
  if (Array.isArray(value)) {
    for (const entry of value) yield headerEntry(entry);
  } else if (typeof value === "object" && value !== null && !JSON.isRawJSON(value)) {
    for (const [key, of] of Object.entries(value)) yield { key, value: of };
  } else {
    yield failure("INVALID_REQUEST", 'must be an object of names and values or a list of {"key", "value"}');
  }
}

function headerEntry(entry: unknown): { key: string; value: unknown } | Failure {
  if (
    typeof entry === "object" &&
    entry !== null &&
    "key" in entry &&
    typeof entry.key === "string" &&
    Object.keys(entry).every((name) => name === "key" || name === "value")
  ) {
    return { key: entry.key, value: "value" in entry ? entry.value : null };
  }
  return failure("INVALID_REQUEST", 'each entry of the list has the form {"key": "…", "value": …}');
}

function headerBytes(value: unknown): Uint8Array | null | Failure {
  if (typeof value === "string") return textBytes(value);
  if (value === null) return null;
  const base64 = base64Member(value);
  if (base64 !== undefined) return base64Bytes(base64);
  return failure("INVALID_REQUEST", 'a header\'s value is a string, {"base64": "…"} or null');
}

/** What an object whose only member is `base64` has there, in a box; undefined for every other value. */
function base64Member(value: unknown): { readonly value: unknown } | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !("base64" in value))
    return undefined;
  return Object.keys(value).length === 1 ? { value: value.base64 } : undefined;
}

function base64Bytes({ value }: { readonly value: unknown }): Uint8Array | Failure {
  const problem = failure("INVALID_REQUEST", "base64 must be a string of standard base64 with its padding");
  // fromBase64 skips white space.
  if (typeof value !== "string" || /\s/.test(value)) return problem;
  try {
    return Uint8Array.fromBase64(value, { lastChunkHandling: "strict" });
  } catch {
    return problem;
  }
}

function textBytes(text: string): Uint8Array | Failure {
  return text.isWellFormed() ? encoder.encode(text) : notUnicode();
}

function notUnicode(): Failure {
  return failure(
    "INVALID_REQUEST",
    'the string has a lone surrogate, which UTF-8 cannot hold; send bytes as {"base64": "…"}',
  );
}

/** A parser that may refuse, as a schema's transform. */
function parsedBy<T>(parse: (value: unknown) => T | Failure) {
  return (value: unknown, context: z.RefinementCtx): T => {
    const parsed = parse(value);
    if (!isFailure(parsed)) return parsed;
    context.addIssue({ code: "custom", message: parsed.message, params: { error: parsed.error } });
    return z.NEVER;
  };
}
