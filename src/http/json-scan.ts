/** JSON text looked at before it is parsed: where a value ends, how deep it goes, and what it will take as objects. */

/**
 * What V8 takes for each part of a parsed text, in bytes and rather too much: 16 MiB of `{},` are 350 MB of objects.
 * test/http/json-memory.test.ts measures.
 */
const CONTAINER_BYTES = 80;
const STRING_BYTES = 24;
/** An object whose names no other object has is one of its own kind. */
const MEMBER_BYTES = 112;
const ITEM_BYTES = 8;

export interface ScannedValue {
  /** The index after it. Of what is no JSON, some index: parsing what lies before it fails. */
  readonly end: number;
  /** Objects and lists within one another. */
  readonly depth: number;
  /** At most so many bytes will the parsed value take, its strings' characters not counted. */
  readonly parsedBytes: number;
}

/** Goes no further where the value is nested deeper than `depthMax`; then `depth` says so. */
export function scanValue(text: string, start: number, depthMax: number): ScannedValue {
  let open = 0;
  let depth = 0;
  let parsedBytes = 0;
  for (let index = start; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case QUOTE:
        index = endOfString(text, index);
        parsedBytes += STRING_BYTES;
        if (open === 0) return { end: Math.min(index + 1, text.length), depth, parsedBytes };
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        open++;
        if (open > depth) depth = open;
        if (depth > depthMax) return { end: index, depth, parsedBytes };
        parsedBytes += CONTAINER_BYTES;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        if (open === 0) return { end: index, depth, parsedBytes };
        open--;
        if (open === 0) return { end: index + 1, depth, parsedBytes };
        break;
      case COLON:
        parsedBytes += MEMBER_BYTES;
        break;
      case COMMA:
        if (open === 0) return { end: index, depth, parsedBytes };
        parsedBytes += ITEM_BYTES;
        break;
      case SPACE:
      case TAB:
      case LINE_FEED:
      case CARRIAGE_RETURN:
        if (open === 0) return { end: index, depth, parsedBytes };
        break;
    }
  }
  return { end: text.length, depth, parsedBytes };
}

/** The first index from `start` on that is no white space. */
export function skipSpace(text: string, start: number): number {
  let index = start;
  for (; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code !== SPACE && code !== LINE_FEED && code !== CARRIAGE_RETURN && code !== TAB) break;
  }
  return index;
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

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
