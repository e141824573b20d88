/** JSON from outside: bounded in depth before it is parsed, and numbers keep the digits they were written with. */

import { HTTP_JSON_DEPTH_MAX } from "../model/limits.ts";
import { invalid } from "./errors.ts";

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
 * @throws EdgelogError INVALID_REQUEST, naming `what`
 */
export function parseJson(text: string, what: string): unknown {
  if (depthExceeds(text, HTTP_JSON_DEPTH_MAX)) {
    throw invalid(`${what} is nested deeper than ${HTTP_JSON_DEPTH_MAX} levels.`);
  }
  try {
    return MAY_HAVE_INEXACT_NUMBER.test(text) ? JSON.parse(text, exactNumber) : JSON.parse(text);
  } catch (error) {
    throw invalid(
      `${what} is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : "unreadable"}`,
    );
  }
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

/** What stands inside strings does not count. */
function depthExceeds(text: string, depthMax: number): boolean {
  // Few texts are nested at all: counting brackets with indexOf is not faster than one pass, but most bodies are short.
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case QUOTE:
        index = endOfString(text, index);
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > depthMax) return true;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth--;
        break;
    }
  }
  return false;
}

/** Of the closing quote; the text's end if there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
