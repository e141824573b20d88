/** Which of the types that can be produced the caller likes best (RFC 9110, `Accept`). */

import { EdgelogError } from "../model/errors.ts";
import { quote } from "../model/quote.ts";
import { mediaType } from "./body.ts";

/**
 * The first of `producible` is what a caller without a preference gets.
 * @throws EdgelogError NOT_ACCEPTABLE
 */
export function negotiate<T extends string>(accept: string | undefined, producible: readonly [T, ...T[]]): T {
  if (accept === undefined || accept.trim() === "") return producible[0];
  const ranges = accept.split(",").map((range) => ({ type: mediaType(range), quality: quality(range) }));
  let best: { type: T; quality: number } | undefined;
  for (const type of producible) {
    const quality = qualityOf(type, ranges);
    if (quality > (best?.quality ?? 0)) best = { type, quality };
  }
  if (best !== undefined) return best.type;
  throw new EdgelogError(
    "NOT_ACCEPTABLE",
    `Accept ${quote(accept)} leaves nothing; accept ${producible.join(", ")}.`,
  );
}

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

/** Of the most specific range that covers the type; 0: not acceptable. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const wildcard = `${type.split("/", 1)[0]}/*`;
  for (const pattern of [type, wildcard, "*/*"]) {
    const range = ranges.find((range) => range.type === pattern);
    if (range !== undefined) return range.quality;
  }
  return 0;
}

function quality(range: string): number {
  const text = /;\s*q\s*=\s*([0-9.]+)/i.exec(range)?.[1];
  const value = text === undefined ? 1 : Number(text);
  return Number.isNaN(value) ? 0 : Math.min(value, 1);
}
