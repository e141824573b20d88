/**
 * The messages of a subscription's WebSocket. Text frames are JSON in both subprotocols; in the binary one records come
 * as binary frames (see frame.ts) instead of `records` messages. docs/subscriptions.md is the whole protocol.
 */

import { type ErrorName, errorRow, type Failure, failure, isErrorName } from "../model/errors.ts";
import {
  SUBSCRIBER_CREDIT_BYTES_MAX,
  SUBSCRIBER_MESSAGE_BYTES_MAX,
  SUBSCRIPTIONS_PER_SOCKET_MAX,
} from "../model/limits.ts";
import type { FramePosition } from "./frame.ts";
import { type Fields, isFields, parseObject } from "./json-object.ts";
import { isOffset, isPartition, type StartPosition } from "./position.ts";
import type { JsonRecord } from "./record-json.ts";

export const JSON_SUBPROTOCOL = "edgelog.v1.json";
export const BINARY_SUBPROTOCOL = "edgelog.v1.binary";
export type Subprotocol = typeof JSON_SUBPROTOCOL | typeof BINARY_SUBPROTOCOL;

/** A client may send this text at any time; the platform answers PONG without waking the partition. */
export const PING = "ping";
export const PONG = "pong";

/** The reading position has moved to R2: subscribe again at the offset in the reason, see {@link resumeOffset}. */
export const CLOSE_RESUME = 4001;

/** How a socket is closed after an `error` message: 4000 + the error's HTTP status; the reason is the error's name. */
export function closeCodeOf(error: ErrorName): number {
  return 4000 + errorRow(error).status;
}

export function resumeReason(offset: number): string {
  return `offset=${offset}`;
}

/** The offset that a close with {@link CLOSE_RESUME} names, or undefined if the reason is something else. */
export function resumeOffset(reason: string): number | undefined {
  const offset = Number(/^offset=(\d{1,16})$/.exec(reason)?.[1]);
  return isOffset(offset) ? offset : undefined;
}

/** The first of ours among the subprotocols that a client offers (`Sec-WebSocket-Protocol`). */
export function chooseSubprotocol(offered: string | null): Subprotocol | undefined {
  return (offered ?? "")
    .split(",")
    .map((name) => name.trim())
    .find((name): name is Subprotocol => name === JSON_SUBPROTOCOL || name === BINARY_SUBPROTOCOL);
}

/** The same where there is only JSON. */
export function chooseJsonSubprotocol(offered: string | null): Subprotocol | undefined {
  const names = (offered ?? "").split(",").map((name) => name.trim());
  return names.includes(JSON_SUBPROTOCOL) ? JSON_SUBPROTOCOL : undefined;
}

// ── client → server ──────────────────────────────────────────────────────────────────────────────────────────────────

export type PartitionStart = { readonly partition: number } & StartPosition;

export type ClientMessage =
  /** Begins with these partitions; `credit_bytes` adds to the socket's credit. */
  | {
      readonly type: "subscribe";
      readonly partitions: readonly PartitionStart[];
      readonly credit_bytes?: number;
    }
  /** Ends with these partitions; `unsubscribed` is the answer. */
  | { readonly type: "unsubscribe"; readonly partitions: readonly number[] }
  /** So many bytes of batches have been consumed and as many more may be sent. */
  | { readonly type: "credit"; readonly bytes: number };

export function encodeClientMessage(message: ClientMessage): string {
  return JSON.stringify(message);
}

/** What a client sent, or INVALID_REQUEST with what is wrong with it. */
export function parseClientMessage(data: string | ArrayBuffer | Uint8Array): ClientMessage | Failure {
  if (typeof data !== "string") {
    return failure("INVALID_REQUEST", "A client's messages are JSON in text frames; this frame is binary.");
  }
  if (data.length > SUBSCRIBER_MESSAGE_BYTES_MAX) {
    return failure("INVALID_REQUEST", `A message may have at most ${SUBSCRIBER_MESSAGE_BYTES_MAX} bytes.`);
  }
  const message = parseObject(data);
  if (message === undefined) return failure("INVALID_REQUEST", "A client's messages are JSON objects.");
  if (message.type === "credit") return parseCredit(message);
  if (message.type === "subscribe") return parseSubscribe(message);
  if (message.type === "unsubscribe") return parseUnsubscribe(message);
  return failure("INVALID_REQUEST", 'A message\'s type is "subscribe", "unsubscribe" or "credit".');
}

function parseCredit(message: Fields): ClientMessage | Failure {
  const { bytes } = message;
  if (isCredit(bytes) && bytes > 0) return { type: "credit", bytes };
  return failure("INVALID_REQUEST", `bytes must be a whole number from 1 to ${SUBSCRIBER_CREDIT_BYTES_MAX}.`);
}

function parseSubscribe(message: Fields): ClientMessage | Failure {
  const { partitions: listed, credit_bytes: credit } = message;
  if (credit !== undefined && !isCredit(credit)) {
    return failure(
      "INVALID_REQUEST",
      `credit_bytes must be a whole number from 0 to ${SUBSCRIBER_CREDIT_BYTES_MAX}.`,
    );
  }
  if (!Array.isArray(listed) || listed.length === 0 || listed.length > SUBSCRIPTIONS_PER_SOCKET_MAX) {
    return failure(
      "INVALID_REQUEST",
      `partitions must be a list of 1 to ${SUBSCRIPTIONS_PER_SOCKET_MAX} partitions.`,
    );
  }
  const partitions: PartitionStart[] = [];
  const seen = new Set<number>();
  for (const entry of listed) {
    const start = parsePartitionStart(entry);
    if (start === undefined) {
      return failure(
        "INVALID_REQUEST",
        'Each of partitions has the form {"partition": n, "offset": n | "earliest" | "latest"} or {"partition": n, "timestamp": ms}.',
      );
    }
    if (seen.has(start.partition)) {
      return failure("INVALID_REQUEST", `partition ${start.partition} is listed twice.`);
    }
    seen.add(start.partition);
    partitions.push(start);
  }
  return { type: "subscribe", partitions, ...(credit !== undefined && { credit_bytes: credit }) };
}

function parseUnsubscribe({ partitions }: Fields): ClientMessage | Failure {
  if (Array.isArray(partitions) && partitions.every(isPartition)) return { type: "unsubscribe", partitions };
  return failure("INVALID_REQUEST", "partitions must be a list of partitions.");
}

function parsePartitionStart(entry: unknown): PartitionStart | undefined {
  if (!isFields(entry)) return undefined;
  const { partition, offset, timestamp } = entry;
  if (!isPartition(partition)) return undefined;
  if (timestamp !== undefined) {
    return offset === undefined && isOffset(timestamp) ? { partition, timestamp } : undefined;
  }
  return offset === "earliest" || offset === "latest" || isOffset(offset) ? { partition, offset } : undefined;
}

function isCredit(value: unknown): value is number {
  return isOffset(value) && value <= SUBSCRIBER_CREDIT_BYTES_MAX;
}

// ── server → client ──────────────────────────────────────────────────────────────────────────────────────────────────

/** JSON subprotocol only. `bytes` is what it costs in credit. Other fields: see {@link FramePosition}. */
export interface RecordsMessage {
  readonly type: "records";
  readonly partition: number;
  readonly from: number;
  readonly next: number;
  readonly high_watermark: number;
  readonly bytes: number;
  readonly records: readonly JsonRecord[];
}

/** Once per partition: everything up to the log end, as it was then, has been sent. */
export interface CaughtUpMessage {
  readonly type: "caught_up";
  readonly partition: number;
  readonly next: number;
  readonly high_watermark: number;
}

/** No more frames of these partitions come after it. */
export interface UnsubscribedMessage {
  readonly type: "unsubscribed";
  readonly partitions: readonly number[];
}

/**
 * The server is short of memory: the client now sends `credit` for what it has consumed since its last one (as soon as it
 * has consumed anything), however little it is. Until then it may get nothing more.
 */
export interface CreditDueMessage {
  readonly type: "credit_due";
}

/**
 * The socket is closed after it with {@link CLOSE_RESUME}. A client need not wait for that: where a hibernating socket is
 * closed, workerd holds the connection for 10 s more, and platforms tell of a close only when the connection is gone.
 */
export interface ResumeMessage {
  readonly type: "resume";
  readonly partition: number;
  /** The subscriber's position: where to subscribe again. */
  readonly offset: number;
}

/** The socket is closed after it with {@link closeCodeOf} the error, and again a client need not wait for that. */
export interface ErrorMessage {
  readonly type: "error";
  /** Absent if the error is not about one partition. */
  readonly partition?: number;
  readonly error: { readonly code: ErrorName; readonly message: string; readonly retriable: boolean };
  /** With OFFSET_OUT_OF_RANGE: what the log has. */
  readonly log_start_offset?: number;
  readonly high_watermark?: number;
}

export type ServerMessage =
  | RecordsMessage
  | CaughtUpMessage
  | UnsubscribedMessage
  | CreditDueMessage
  | ErrorMessage
  | ResumeMessage;

export const CREDIT_DUE = JSON.stringify({ type: "credit_due" } satisfies CreditDueMessage);

/** `records` is the JSON text of the list's elements, which may have been made once for many sockets. */
export function encodeRecordsMessage(position: FramePosition, bytes: number, records: string): string {
  const { partition, from, next, highWatermark } = position;
  return `{"type":"records","partition":${partition},"from":${from},"next":${next},"high_watermark":${highWatermark},"bytes":${bytes},"records":[${records}]}`;
}

export function encodeCaughtUp(partition: number, next: number, highWatermark: number): string {
  return JSON.stringify({
    type: "caught_up",
    partition,
    next,
    high_watermark: highWatermark,
  } satisfies CaughtUpMessage);
}

export function encodeUnsubscribed(partitions: readonly number[]): string {
  return JSON.stringify({ type: "unsubscribed", partitions } satisfies UnsubscribedMessage);
}

export function encodeResume(partition: number, offset: number): string {
  return JSON.stringify({ type: "resume", partition, offset } satisfies ResumeMessage);
}

export function encodeError(
  failed: Failure,
  about: { partition?: number; logStartOffset?: number; highWatermark?: number } = {},
): string {
  return JSON.stringify({
    type: "error",
    ...(about.partition !== undefined && { partition: about.partition }),
    error: { code: failed.error, message: failed.message, retriable: errorRow(failed.error).retriable },
    ...(about.logStartOffset !== undefined && { log_start_offset: about.logStartOffset }),
    ...(about.highWatermark !== undefined && { high_watermark: about.highWatermark }),
  } satisfies ErrorMessage);
}

/**
 * A server's text frame; undefined for a type that this version does not know, which a client skips (and for
 * {@link PONG}), INVALID_REQUEST for what is no message at all. The records of a `records` message are taken as sent.
 */
export function parseServerMessage(text: string): ServerMessage | undefined | Failure {
  if (text === PONG) return undefined;
  const message = parseObject(text);
  if (message === undefined || typeof message.type !== "string") {
    return failure("INVALID_REQUEST", "The server sent a text frame that is not a JSON message.");
  }
  if (isRecordsMessage(message) || isCaughtUpMessage(message)) return message;
  if (isErrorMessage(message) || isResumeMessage(message) || isUnsubscribedMessage(message)) return message;
  if (message.type === "credit_due") return { type: "credit_due" };
  if (["records", "caught_up", "error", "resume", "unsubscribed"].includes(message.type)) {
    return failure("INVALID_REQUEST", `The server sent a malformed ${message.type} message.`);
  }
  return undefined;
}

function isRecordsMessage(message: object): message is RecordsMessage {
  if (!isFields(message) || message.type !== "records") return false;
  const { partition, from, next, high_watermark: highWatermark, bytes, records } = message;
  return (
    isPartition(partition) && [from, next, highWatermark, bytes].every(isOffset) && Array.isArray(records)
  );
}

function isCaughtUpMessage(message: object): message is CaughtUpMessage {
  if (!isFields(message) || message.type !== "caught_up") return false;
  return isPartition(message.partition) && [message.next, message.high_watermark].every(isOffset);
}

function isUnsubscribedMessage(message: object): message is UnsubscribedMessage {
  if (!isFields(message) || message.type !== "unsubscribed") return false;
  return Array.isArray(message.partitions) && message.partitions.every(isPartition);
}

function isResumeMessage(message: object): message is ResumeMessage {
  if (!isFields(message) || message.type !== "resume") return false;
  return isPartition(message.partition) && isOffset(message.offset);
}

function isErrorMessage(message: object): message is ErrorMessage {
  if (!isFields(message) || message.type !== "error") return false;
  const { partition, error, log_start_offset: start, high_watermark: end } = message;
  return (
    (partition === undefined || isPartition(partition)) &&
    (start === undefined || isOffset(start)) &&
    (end === undefined || isOffset(end)) &&
    isFields(error) &&
    isErrorName(error.code) &&
    typeof error.message === "string" &&
    typeof error.retriable === "boolean"
  );
}
