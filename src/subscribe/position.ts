/** Where a subscription begins, as a client says it: `offset=earliest|latest|<n>` or `timestamp=<ms>`. */

import { type Failure, failure } from "../model/errors.ts";
import { OFFSET_MAX, PARTITION_MAX, SUBSCRIPTIONS_PER_SOCKET_MAX } from "../model/limits.ts";
import { quote } from "../model/quote.ts";

export type StartPosition =
  | { readonly offset: number | "earliest" | "latest" }
  /** The first record whose timestamp in ms is at least this one; the log end if there is none. */
  | { readonly timestamp: number };

export function isOffset(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= OFFSET_MAX;
}

export function isPartition(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= PARTITION_MAX;
}

/** A whole number in decimal digits and nothing else, or undefined. */
export function parseDigits(text: string): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** The start that a query string asks for; undefined if it asks for none. */
export function startFromQuery(query: URLSearchParams): StartPosition | undefined | Failure {
  const offset = query.get("offset");
  const timestamp = query.get("timestamp");
  if (offset !== null && timestamp !== null) {
    return failure("INVALID_REQUEST", "offset and timestamp exclude each other; send one of them.");
  }
  if (timestamp !== null) {
    const ms = parseDigits(timestamp);
    if (ms !== undefined) return { timestamp: ms };
    return failure("INVALID_REQUEST", `timestamp=${quote(timestamp)} is not a time in milliseconds.`);
  }
  if (offset === null) return undefined;
  if (offset === "earliest" || offset === "latest") return { offset };
  const number = parseDigits(offset);
  if (number !== undefined) return { offset: number };
  return failure("INVALID_REQUEST", `offset=${quote(offset)} is not "earliest", "latest" or an offset.`);
}

/** Positions of several partitions as an SSE event id lists them: `0:12,1:30`, by partition. */
export function formatPositions(positions: ReadonlyMap<number, number>): string {
  return [...positions]
    .sort(([a], [b]) => a - b)
    .map(([partition, offset]) => `${partition}:${offset}`)
    .join(",");
}

/** Reads what {@link formatPositions} wrote (the header `Last-Event-ID`). */
export function parsePositions(text: string): Map<number, number> | Failure {
  const positions = new Map<number, number>();
  for (const part of text.split(",", SUBSCRIPTIONS_PER_SOCKET_MAX + 1)) {
    const match = /^ *(\d{1,10}):(\d{1,16}) *$/.exec(part);
    const partition = Number(match?.[1]);
    const offset = Number(match?.[2]);
    if (match === null || !isPartition(partition) || !isOffset(offset) || positions.has(partition)) {
      return failure(
        "INVALID_REQUEST",
        `Last-Event-ID: ${quote(part)} is not a position; positions look like 0:12,1:30, each partition once.`,
      );
    }
    positions.set(partition, offset);
  }
  if (positions.size > SUBSCRIPTIONS_PER_SOCKET_MAX) {
    return failure(
      "INVALID_REQUEST",
      `At most ${SUBSCRIPTIONS_PER_SOCKET_MAX} partitions fit on one stream.`,
    );
  }
  return positions;
}
