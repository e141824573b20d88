/**
 * The messages of a group member's WebSocket: JSON in text frames. docs/groups.md is the whole protocol.
 */

import { type ErrorName, errorRow, type Failure, failure, isErrorName } from "../model/errors.ts";
import {
  GROUP_MESSAGE_CHARACTERS_MAX,
  GROUP_OWN_MEMBER_ID_CHARACTERS_MAX,
  GROUP_SUBSCRIBED_TOPICS_MAX,
  OFFSET_METADATA_CHARACTERS_MAX,
} from "../model/limits.ts";
import { type Fields, isFields, parseObject } from "./json-object.ts";
import { isOffset, isPartition } from "./position.ts";
import { PONG } from "./protocol.ts";

/** How a socket is closed whose member is one no more; the reason is the error's name. */
export const CLOSE_FENCED = 4002;

// ── member → coordinator ─────────────────────────────────────────────────────────────────────────────────────────────

/** Needs topics, a pattern, or both. Sent again on the same socket, it changes the subscription. */
export interface JoinMessage {
  readonly type: "join";
  readonly topics?: readonly string[];
  /** RE2's syntax; matches whole names. */
  readonly topic_pattern?: string;
  /** Absent: the coordinator makes one. */
  readonly member_id?: string;
  /** The last one that the member has heard: it goes on with what it has. Absent: it has nothing, and is new. */
  readonly member_epoch?: number;
  /** Kafka's `group.instance.id`. */
  readonly instance_id?: string;
  readonly client_id?: string;
  readonly rack_id?: string;
  readonly assignor?: string;
  readonly rebalance_timeout_ms?: number;
}

/** Everything that the assignment of this epoch told to give up has been given up, and committed if it was to be. */
export interface RevokedMessage {
  readonly type: "revoked";
  readonly member_epoch: number;
}

export interface OffsetMessage {
  readonly topic_id: string;
  readonly partition: number;
  /** Of the record to be read next. */
  readonly offset: number;
  /** Of the last record read; absent: not known. */
  readonly leader_epoch?: number;
  readonly metadata?: string;
}

export interface CommitMessage {
  readonly type: "commit";
  /** Comes back with the answer. */
  readonly id: number;
  readonly offsets: readonly OffsetMessage[];
}

/** The member gives up everything; with an `instance_id` it is expected back, and keeps it for a session timeout. */
export interface LeaveMessage {
  readonly type: "leave";
}

/** There may be topics or partitions that the coordinator has not heard of yet. */
export interface RefreshMessage {
  readonly type: "refresh";
}

export type MemberMessage = JoinMessage | RevokedMessage | CommitMessage | LeaveMessage | RefreshMessage;

export function encodeMemberMessage(message: MemberMessage): string {
  return JSON.stringify(message);
}

/** What a member sent, or INVALID_REQUEST with what is wrong with it. */
export function parseMemberMessage(data: string | ArrayBuffer): MemberMessage | Failure {
  if (typeof data !== "string")
    return invalid("A member's messages are JSON in text frames; this is binary.");
  if (data.length > GROUP_MESSAGE_CHARACTERS_MAX) {
    return invalid(`A message may have at most ${GROUP_MESSAGE_CHARACTERS_MAX} characters.`);
  }
  const message = parseObject(data);
  if (message === undefined) return invalid("A member's messages are JSON objects.");
  if (message.type === "join") return parseJoin(message);
  if (message.type === "commit") return parseCommit(message);
  if (message.type === "revoked") {
    const { member_epoch } = message;
    return isEpoch(member_epoch) ? { type: "revoked", member_epoch } : invalid(EPOCH_FORM);
  }
  if (message.type === "leave" || message.type === "refresh") return { type: message.type };
  return invalid('A message\'s type is "join", "revoked", "commit", "refresh" or "leave".');
}

const EPOCH_FORM = "member_epoch must be an epoch that the coordinator has told: a whole number from 1 on.";
const TEXTS = ["topic_pattern", "member_id", "instance_id", "client_id", "rack_id", "assignor"] as const;

function parseJoin(message: Fields): JoinMessage | Failure {
  const { topics, member_id, member_epoch, rebalance_timeout_ms } = message;
  if (topics !== undefined && !isListOf(topics, isText)) return invalid("topics must be a list of names.");
  if (topics !== undefined && topics.length > GROUP_SUBSCRIBED_TOPICS_MAX) {
    return invalid(`topics may list at most ${GROUP_SUBSCRIBED_TOPICS_MAX}; use topic_pattern for more.`);
  }
  const texts: { [name in (typeof TEXTS)[number]]?: string } = {};
  for (const name of TEXTS) {
    const text = message[name];
    if (text === undefined) continue;
    if (!isText(text) || text === "") return invalid(`${name} must be a text that is not empty.`);
    texts[name] = text;
  }
  if ((topics === undefined || topics.length === 0) && texts.topic_pattern === undefined) {
    return invalid("join must say what the member subscribes to: topics, topic_pattern or both.");
  }
  if (isText(member_id) && !isOwnMemberId(member_id)) return invalid(`member_id ${MEMBER_ID_FORM}`);
  if (member_epoch !== undefined && (!isEpoch(member_epoch) || member_id === undefined)) {
    return invalid(`${EPOCH_FORM} It needs the member_id beside it.`);
  }
  if (rebalance_timeout_ms !== undefined && !isOffset(rebalance_timeout_ms)) {
    return invalid("rebalance_timeout_ms must be a whole number of ms.");
  }
  return {
    type: "join",
    ...texts,
    ...(topics !== undefined && { topics }),
    ...(member_epoch !== undefined && { member_epoch }),
    ...(rebalance_timeout_ms !== undefined && { rebalance_timeout_ms }),
  };
}

/** Behind the name of the field. */
export const MEMBER_ID_FORM = `must be 1 to ${GROUP_OWN_MEMBER_ID_CHARACTERS_MAX} of a-z, A-Z, 0-9, ".", "_" and "-".`;

/** Whether a member may call itself so: it becomes part of what the platform keeps of its socket. */
export function isOwnMemberId(text: string): boolean {
  return text.length <= GROUP_OWN_MEMBER_ID_CHARACTERS_MAX && /^[A-Za-z0-9._-]+$/.test(text);
}

function parseCommit(message: Fields): CommitMessage | Failure {
  const { id, offsets } = message;
  if (!isOffset(id)) return invalid("id must be a whole number; the answer to the commit brings it back.");
  if (!isListOf(offsets, isOffsetMessage)) {
    return invalid(
      'offsets must be a list of {"topic_id", "partition", "offset"}, with "leader_epoch" and "metadata" if you like.',
    );
  }
  return { type: "commit", id, offsets };
}

function isOffsetMessage(value: unknown): value is OffsetMessage {
  if (!isFields(value)) return false;
  const { topic_id, partition, offset, leader_epoch, metadata } = value;
  return (
    isText(topic_id) &&
    isPartition(partition) &&
    isOffset(offset) &&
    (leader_epoch === undefined || leader_epoch === -1 || isOffset(leader_epoch)) &&
    (metadata === undefined || (isText(metadata) && metadata.length <= OFFSET_METADATA_CHARACTERS_MAX))
  );
}

// ── coordinator → member ─────────────────────────────────────────────────────────────────────────────────────────────

export interface JoinedMessage {
  readonly type: "joined";
  readonly member_id: string;
  readonly member_epoch: number;
  /** False: the member is new, and has nothing but what the assignments tell it from now on. */
  readonly resumed: boolean;
  /** How many partitions each of the topics has that it named, as far as the coordinator knows; 0: there is no such topic. */
  readonly topics: Readonly<Record<string, number>>;
  /** Send `ping` so often. */
  readonly ping_interval_ms: number;
  /** Without a socket the member is a member for so long. */
  readonly grace_ms: number;
}

export interface PartitionMessage {
  readonly topic: string;
  readonly topic_id: string;
  readonly partition: number;
}

/** What the member has from now on, and where its group has come to. */
export interface AssignedMessage extends PartitionMessage {
  /** null: nothing is committed. */
  readonly offset: number | null;
  readonly leader_epoch: number;
  readonly metadata: string;
}

export interface AssignmentMessage {
  readonly type: "assignment";
  readonly member_epoch: number;
  /** In addition to what the member has; after `joined`: all that it has. */
  readonly assigned: readonly AssignedMessage[];
  /** To be given up, which `revoked` then says; until then nobody else gets them. */
  readonly revoke: readonly PartitionMessage[];
  /** Another message of the same assignment follows. */
  readonly more: boolean;
}

export interface CommitErrorMessage {
  readonly topic_id: string;
  readonly partition: number;
  readonly code: ErrorName;
}

/** `errors`: of partitions whose offset is not stored. `error`: nothing of the commit is. */
export interface CommittedMessage {
  readonly type: "committed";
  readonly id: number;
  readonly errors?: readonly CommitErrorMessage[];
  readonly error?: ErrorText;
}

/** The answer to `leave`; the socket is closed after it. */
export interface LeftMessage {
  readonly type: "left";
}

interface ErrorText {
  readonly code: ErrorName;
  readonly message: string;
  readonly retriable: boolean;
}

/** The socket is closed after it, with {@link CLOSE_FENCED} if the member is one no more. */
export interface GroupErrorMessage {
  readonly type: "error";
  readonly error: ErrorText;
}

export type CoordinatorMessage =
  | JoinedMessage
  | AssignmentMessage
  | CommittedMessage
  | LeftMessage
  | GroupErrorMessage;

export function encodeCoordinatorMessage(message: CoordinatorMessage): string {
  return JSON.stringify(message);
}

export function errorText({ error, message }: Failure): ErrorText {
  return { code: error, message, retriable: errorRow(error).retriable };
}

/**
 * A coordinator's text frame; undefined for a type that this version does not know, which a member skips (and for a pong),
 * INVALID_REQUEST for what is no message at all.
 */
export function parseCoordinatorMessage(text: string): CoordinatorMessage | undefined | Failure {
  if (text === PONG) return undefined;
  const message = parseObject(text);
  if (message === undefined || typeof message.type !== "string") {
    return invalid("The coordinator sent a text frame that is not a JSON message.");
  }
  if (isJoined(message) || isAssignment(message) || isCommitted(message) || isError(message)) return message;
  if (message.type === "left") return { type: "left" };
  if (["joined", "assignment", "committed", "error"].includes(message.type)) {
    return invalid(`The coordinator sent a malformed ${message.type} message.`);
  }
  return undefined;
}

function isJoined(message: object): message is JoinedMessage {
  if (!isFields(message) || message.type !== "joined") return false;
  const { member_id, member_epoch, resumed, topics, ping_interval_ms, grace_ms } = message;
  return (
    isText(member_id) &&
    isEpoch(member_epoch) &&
    typeof resumed === "boolean" &&
    isFields(topics) &&
    Object.values(topics).every(isOffset) &&
    [ping_interval_ms, grace_ms].every(isOffset)
  );
}

function isAssignment(message: object): message is AssignmentMessage {
  if (!isFields(message) || message.type !== "assignment") return false;
  const { member_epoch, assigned, revoke, more } = message;
  return (
    isEpoch(member_epoch) &&
    isListOf(assigned, isAssigned) &&
    isListOf(revoke, isPartitionMessage) &&
    typeof more === "boolean"
  );
}

function isPartitionMessage(value: unknown): value is PartitionMessage {
  return isFields(value) && isText(value.topic) && isText(value.topic_id) && isPartition(value.partition);
}

function isAssigned(value: unknown): value is AssignedMessage {
  if (!isFields(value) || !isPartitionMessage(value)) return false;
  const { offset, leader_epoch, metadata } = value;
  return (
    (offset === null || isOffset(offset)) &&
    (leader_epoch === -1 || isOffset(leader_epoch)) &&
    isText(metadata)
  );
}

function isCommitted(message: object): message is CommittedMessage {
  if (!isFields(message) || message.type !== "committed" || !isOffset(message.id)) return false;
  const { errors, error } = message;
  return (
    (errors === undefined || isListOf(errors, isCommitError)) && (error === undefined || isErrorText(error))
  );
}

function isCommitError(value: unknown): value is CommitErrorMessage {
  return isFields(value) && isText(value.topic_id) && isPartition(value.partition) && isErrorName(value.code);
}

function isError(message: object): message is GroupErrorMessage {
  return isFields(message) && message.type === "error" && isErrorText(message.error);
}

function isErrorText(value: unknown): value is ErrorText {
  return (
    isFields(value) &&
    isErrorName(value.code) &&
    typeof value.message === "string" &&
    typeof value.retriable === "boolean"
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isEpoch(value: unknown): value is number {
  return isOffset(value) && value > 0;
}

function isListOf<T>(value: unknown, isElement: (element: unknown) => element is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isElement);
}

function invalid(message: string): Failure {
  return failure("INVALID_REQUEST", message);
}
