/** JSON from outside: bounded in depth and memory before it is parsed, and numbers keep the digits they were written with. */

import { EdgelogError } from "../model/errors.ts";
import { HTTP_JSON_DEPTH_MAX, HTTP_JSON_PARSED_BYTES_MAX } from "../model/limits.ts";
import { invalid } from "./errors.ts";
import { scanValue, skipSpace } from "./json-scan.ts";

declare global {
  interface JSON {
    /** ES2025's "JSON.parse source text access", which TypeScript's es2024 library does not know. */
    rawJSON(text: string): object;
    isRawJSON(value: unknown): value is { readonly rawJSON: string };
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
  }
}

/**
 * The value of a JSON text. A number that a double cannot give back as it was written (`12345678901234567890`, `1.0`,
 * `-0`) becomes a raw JSON object, which JSON.stringify writes as it came; {@link plainNumber} reads it.
 *
 * @throws EdgelogError INVALID_REQUEST, CONTENT_TOO_LARGE, naming `what`
 */
export function parseJson(text: string, what: string): unknown {
  const { value, end } = parseAt(text, skipSpace(text, 0), 0, what);
  if (skipSpace(text, end) < text.length) throw notJson(what, "something follows its end");
  return value;
}

/**
 * The value that stands at `start`, so many levels deep, and where it ends.
 *
 * @throws EdgelogError as {@link parseJson}
 */
export function parseAt(
  text: string,
  start: number,
  levelsAbove: number,
  what: string,
): { readonly value: unknown; readonly end: number } {
  const depthMax = HTTP_JSON_DEPTH_MAX - levelsAbove;
  const { end, depth, parsedBytes } = scanValue(text, start, depthMax);
  if (depth > depthMax) throw invalid(`${what} is nested deeper than ${HTTP_JSON_DEPTH_MAX} levels.`);
  if (parsedBytes > HTTP_JSON_PARSED_BYTES_MAX) {
    throw new EdgelogError(
      "CONTENT_TOO_LARGE",
      `${what} has too many objects, lists and strings: they would take about ${parsedBytes} bytes of memory, of at most ${HTTP_JSON_PARSED_BYTES_MAX}.`,
    );
  }
  return { value: parseText(start === 0 && end === text.length ? text : text.slice(start, end), what), end };
}

function parseText(text: string, what: string): unknown {
  try {
    return MAY_HAVE_INEXACT_NUMBER.test(text) ? JSON.parse(text, exactNumber) : JSON.parse(text);
  } catch (error) {
    throw notJson(what, error instanceof Error ? error.message.slice(0, 200) : "unreadable");
  }
}

export function notJson(what: string, why: string): EdgelogError {
  return invalid(`${what} is not JSON: ${why}`);
}

/** Also where a string only looks like one: the slow way is right for every text. */
const MAY_HAVE_INEXACT_NUMBER = /\d[.eE]|\d{16}|-0/;

function exactNumber(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== "number" || source === undefined || String(value) === source) return value;
  return JSON.rawJSON(source);
}

/** A number as a schema wants it. */
export function plainNumber(value: unknown): unknown {
  return JSON.isRawJSON(value) ? Number(value.rawJSON) : value;
}
