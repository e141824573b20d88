/**
 * What the Worker and a partition's leader say to each other about sockets: the two paths of the leader's `fetch`.
 *
 * `/subscribe` takes one partition's subscription. If the start is no longer local, the answer is no upgrade but
 * {@link REMOTE_START_STATUS} with the offset in {@link RESUME_OFFSET_HEADER}: the Worker reads R2 first.
 *
 * `/notices` sends a {@link Notice} at once, and then whenever one of its numbers changes.
 */

import { type Failure, failure } from "../model/errors.ts";
import { ISOLATIONS, type Isolation } from "../model/isolation.ts";
import { SUBSCRIBER_CREDIT_BYTES_DEFAULT, SUBSCRIBER_CREDIT_BYTES_MAX } from "../model/limits.ts";
import { isPartition, parseDigits, startFromQuery } from "./position.ts";
import type { Subprotocol } from "./protocol.ts";

export const SUBSCRIBE_PATH = "/subscribe";
export const NOTICES_PATH = "/notices";
export const REMOTE_START_STATUS = 409;
export const RESUME_OFFSET_HEADER = "edgelog-resume-offset";

/** Where the log begins and ends, for all and for read_committed. As text: decimal digits, with spaces between them. */
export interface Notice {
  readonly logStartOffset: number;
  readonly logEndOffset: number;
  readonly lastStableOffset: number;
}

export function formatNotice({ logStartOffset, logEndOffset, lastStableOffset }: Notice): string {
  return `${logStartOffset} ${logEndOffset} ${lastStableOffset}`;
}

/** Reads what {@link formatNotice} wrote; undefined if it is anything else. */
export function parseNotice(data: unknown): Notice | undefined {
  if (typeof data !== "string") return undefined;
  const [logStartOffset, logEndOffset, lastStableOffset, ...rest] = data.split(" ").map(parseDigits);
  if (logStartOffset === undefined || logEndOffset === undefined) return undefined;
  if (lastStableOffset === undefined || rest.length > 0) return undefined;
  return { logStartOffset, logEndOffset, lastStableOffset };
}

/** Where what such a reader may read ends. */
export function readableEnd(isolation: Isolation, { logEndOffset, lastStableOffset }: Notice): number {
  return isolation === "read_committed" ? lastStableOffset : logEndOffset;
}

/** How data frames are encoded; `json-values` is JSON with `value=json`. */
export type FrameFormat = "binary" | "json" | "json-values";

export interface LeaderSubscription {
  readonly partition: number;
  readonly offset: number | "earliest" | "latest";
  readonly creditBytes: number;
  readonly format: FrameFormat;
  /** Default read_uncommitted. */
  readonly isolation?: Isolation;
}

export function leaderSubscribeRequest(
  subscription: LeaderSubscription,
  topicVersion: number,
  subprotocol?: Subprotocol,
): Request {
  const { partition, offset, creditBytes, format, isolation = "read_uncommitted" } = subscription;
  const query = new URLSearchParams({
    partition: String(partition),
    offset: String(offset),
    credit_bytes: String(creditBytes),
    format,
    isolation,
    topic_version: String(topicVersion),
  });
  return upgradeRequest(`${SUBSCRIBE_PATH}?${query}`, subprotocol);
}

export function leaderNoticesRequest(topicVersion: number): Request {
  return upgradeRequest(`${NOTICES_PATH}?topic_version=${topicVersion}`);
}

function upgradeRequest(path: string, subprotocol?: Subprotocol): Request {
  return new Request(`https://partition${path}`, {
    headers: {
      upgrade: "websocket",
      ...(subprotocol !== undefined && { "sec-websocket-protocol": subprotocol }),
    },
  });
}

export function parseLeaderSubscription(query: URLSearchParams): LeaderSubscription | Failure {
  const partition = parseDigits(query.get("partition") ?? "");
  if (!isPartition(partition)) return failure("INVALID_REQUEST", "partition is missing or no index.");
  const start = startFromQuery(query);
  if (start === undefined || "error" in start || !("offset" in start)) {
    return failure("INVALID_REQUEST", 'offset must be "earliest", "latest" or an offset.');
  }
  const creditBytes = creditFromQuery(query);
  if (typeof creditBytes !== "number") return creditBytes;
  const format = query.get("format");
  if (format !== "binary" && format !== "json" && format !== "json-values") {
    return failure("INVALID_REQUEST", 'format must be "binary", "json" or "json-values".');
  }
  // A Worker of before there was a choice does not say it.
  const asked = query.get("isolation") ?? "read_uncommitted";
  const isolation = ISOLATIONS.find((each) => each === asked);
  if (isolation === undefined) {
    return failure("INVALID_REQUEST", `isolation must be ${ISOLATIONS.join(" or ")}.`);
  }
  return { partition, offset: start.offset, creditBytes, format, isolation };
}

/** `credit_bytes=`: what may be sent before the first `credit` message. */
export function creditFromQuery(query: URLSearchParams): number | Failure {
  const text = query.get("credit_bytes");
  if (text === null) return SUBSCRIBER_CREDIT_BYTES_DEFAULT;
  const bytes = parseDigits(text);
  if (bytes !== undefined && bytes <= SUBSCRIBER_CREDIT_BYTES_MAX) return bytes;
  return failure(
    "INVALID_REQUEST",
    `credit_bytes must be a whole number from 0 to ${SUBSCRIBER_CREDIT_BYTES_MAX}.`,
  );
}
