/** Request bodies: their types are checked and their sizes bounded before anything is made of them. */

import { gunzipSync } from "node:zlib";
import type { z } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { type Hold, requestBytes } from "../cluster/in-flight.ts";
import { concatBytes, releaseBytes } from "../model/bytes.ts";
import { EdgelogError } from "../model/errors.ts";
import { HTTP_BODY_BYTES_MAX } from "../model/limits.ts";
import { quote } from "../model/quote.ts";
import type { HttpEnv } from "./context.ts";
import { invalid, validationFailed } from "./errors.ts";
import { parseJson } from "./json.ts";

export const JSON_TYPE = "application/json";
export const NDJSON_TYPE = "application/x-ndjson";
export const RECORD_BATCH_TYPE = "application/vnd.kafka.recordbatch";

/** A body is read in pieces of at least so many bytes. */
const BODY_PIECE_BYTES = 64 * 1024;

const NDJSON_ALIASES: ReadonlySet<string> = new Set(["application/ndjson", "application/jsonl"]);

/** The media type in a header, lower-cased and without parameters; NDJSON's other names read {@link NDJSON_TYPE}. */
export function mediaType(header: string): string {
  const type = (header.split(";", 1)[0] ?? "").trim().toLowerCase();
  return NDJSON_ALIASES.has(type) ? NDJSON_TYPE : type;
}

/**
 * Which of these types the body has.
 * @throws EdgelogError UNSUPPORTED_MEDIA_TYPE if none, or if its text is not UTF-8
 */
export function bodyType<T extends string>(request: Request, supported: readonly T[]): T {
  const header = request.headers.get("content-type");
  const type = supported.find((known) => header !== null && known === mediaType(header));
  if (type === undefined) {
    throw new EdgelogError(
      "UNSUPPORTED_MEDIA_TYPE",
      `${header === null ? "The body has no Content-Type" : `Content-Type ${quote(header)} is not known here`}; send ${supported.join(" or ")}.`,
    );
  }
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(header ?? "")?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new EdgelogError("UNSUPPORTED_MEDIA_TYPE", `Bodies are UTF-8, not ${quote(charset)}.`);
  }
  return type;
}

/**
 * The whole body, after `Content-Encoding: gzip` is undone. At most HTTP_BODY_BYTES_MAX are ever held of either form.
 * @throws EdgelogError CONTENT_TOO_LARGE, THROTTLING_QUOTA_EXCEEDED, UNSUPPORTED_MEDIA_TYPE for another encoding, INVALID_REQUEST for broken gzip
 */
export async function readBody(request: Request): Promise<Uint8Array> {
  const hold = holdOf(request);
  const encoding = (request.headers.get("content-encoding") ?? "identity").trim().toLowerCase();
  if (encoding !== "identity" && encoding !== "gzip" && encoding !== "x-gzip") {
    throw new EdgelogError(
      "UNSUPPORTED_MEDIA_TYPE",
      `Content-Encoding ${quote(encoding)} is not known here; send gzip or none.`,
    );
  }
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > HTTP_BODY_BYTES_MAX) throw tooLarge();
  const bytes = request.body === null ? new Uint8Array() : await readAll(request.body, declared, hold);
  if (encoding === "identity") return bytes;
  const inflated = gunzip(bytes);
  releaseBytes(bytes);
  hold.grow(inflated.length);
  return inflated;
}

/** What the bodies of requests hold until they are answered. */
const holds = new WeakMap<Request, Hold>();

function holdOf(request: Request): Hold {
  const known = holds.get(request);
  if (known !== undefined) return known;
  const hold = requestBytes.hold();
  holds.set(request, hold);
  return hold;
}

/** Lets go of a request's body when the request has been answered. */
export const bodyReleased = createMiddleware<HttpEnv>(async (c, next) => {
  try {
    await next();
  } finally {
    releaseBody(c.req.raw);
  }
});

export function releaseBody(request: Request): void {
  holds.get(request)?.release();
}

/**
 * What `use` makes of the body as text, which is held only meanwhile; `use` holds what it makes.
 * @throws EdgelogError INVALID_REQUEST if it is not UTF-8, and what {@link readBody} throws
 */
export async function withText<T>(request: Request, use: (text: string, hold: Hold) => T): Promise<T> {
  const bytes = await readBody(request);
  const { length } = bytes;
  const hold = holdOf(request);
  const text = decode(bytes);
  // A single character beyond Latin-1 makes V8 take two bytes for each.
  const textBytes = text.length === length ? length : text.length * 2;
  hold.release();
  hold.grow(textBytes);
  const made = use(text, hold);
  hold.shrink(textBytes);
  return made;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw invalid("The body is not UTF-8.");
  } finally {
    releaseBytes(bytes);
  }
}

/** A JSON body, held against its schema. */
export async function jsonBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  bodyType(request, [JSON_TYPE]);
  return parseWith(schema, await withText(request, (text) => parseJson(text, "The body")));
}

/** @throws EdgelogError that names the first thing wrong; `path` is where the value stands */
export function parseWith<T>(
  schema: z.ZodType<T>,
  value: unknown,
  path: readonly (number | string)[] = [],
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw validationFailed(result.error, path);
}

async function readAll(body: ReadableStream, declared: number, hold: Hold): Promise<Uint8Array> {
  const reader = declared > 0 ? body.getReader({ mode: "byob" }) : body.getReader();
  try {
    return await (reader instanceof ReadableStreamBYOBReader
      ? readDeclared(reader, declared, hold)
      : readUndeclared(reader, hold));
  } catch (error) {
    await reader.cancel().catch(() => {});
    throw error;
  }
}

/** Into one buffer: the pieces that a stream hands out would be as much garbage again. */
async function readDeclared(
  reader: ReadableStreamBYOBReader,
  length: number,
  hold: Hold,
): Promise<Uint8Array> {
  hold.grow(length);
  let bytes = new Uint8Array(length);
  for (let position = 0; position < length; ) {
    const rest = bytes.subarray(position);
    const { value } = await reader.readAtLeast(Math.min(rest.length, BODY_PIECE_BYTES), rest);
    if (value === undefined || value.length === 0) throw wrongLength(length);
    position += value.length;
    // The buffer went to the stream and has come back as another one.
    bytes = new Uint8Array(value.buffer);
  }
  if (!(await reader.read(new Uint8Array(1))).done) throw wrongLength(length);
  return bytes;
}

async function readUndeclared(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  hold: Hold,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > HTTP_BODY_BYTES_MAX) throw tooLarge();
    hold.grow(value.length);
    chunks.push(value);
  }
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const bytes = concatBytes(chunks);
  for (const chunk of chunks) releaseBytes(chunk);
  return bytes;
}

function wrongLength(declared: number): EdgelogError {
  return invalid(`The body does not have the ${declared} bytes that Content-Length promises.`);
}

function gunzip(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: HTTP_BODY_BYTES_MAX });
  } catch (error) {
    // workerd says "Memory limit exceeded" where Node has a code.
    if (error instanceof Error && /limit exceeded|larger than/i.test(error.message)) throw tooLarge();
    throw invalid(
      `The body is not gzip, though Content-Encoding says so: ${error instanceof Error ? error.message : ""}`,
    );
  }
}

function tooLarge(): EdgelogError {
  return new EdgelogError(
    "CONTENT_TOO_LARGE",
    `A body may have at most ${HTTP_BODY_BYTES_MAX} bytes, before and after gzip; send several requests.`,
  );
}
