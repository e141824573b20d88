/**
 * Names and ids that several parts of the system must spell the same way.
 */

import { GROUP_ID_BYTES_MAX, TRANSACTIONAL_ID_BYTES_MAX } from "./limits.ts";

/** A topic id: Kafka's Uuid, 16 random bytes as 22 characters of base64url. Never reused. */
export type TopicId = string;

/** Which Durable Object leads a partition. `placement` is 0 until the partition is moved, then one more with every move. */
export interface PartitionIdentity {
  readonly topicId: TopicId;
  /** 0-based. */
  readonly partition: number;
  readonly placement: number;
}

export function newTopicId(): TopicId {
  for (;;) {
    const id = base64url(crypto.getRandomValues(new Uint8Array(16)));
    // Kafka's tools take a leading dash for an option.
    if (!id.startsWith("-")) return id;
  }
}

export function isTopicId(text: string): text is TopicId {
  return /^[A-Za-z0-9_-]{22}$/.test(text);
}

/** The Durable Object name of a partition's leader: `<topicId>/<partition>/<placement>`. */
export function partitionObjectName({ topicId, partition, placement }: PartitionIdentity): string {
  return `${topicId}/${partition}/${placement}`;
}

export function parsePartitionObjectName(name: string): PartitionIdentity | undefined {
  const match = /^([A-Za-z0-9_-]{22})\/(\d{1,10})\/(\d{1,10})$/.exec(name);
  if (match === null) return undefined;
  const [, topicId = "", partition = "", placement = ""] = match;
  return { topicId, partition: Number(partition), placement: Number(placement) };
}

/** Why a topic name is not legal (Kafka's `Topic.validate`), or undefined if it is. */
export function topicNameProblem(name: string): string | undefined {
  if (name.length === 0) return "the topic name is empty";
  if (name === "." || name === "..") return `a topic cannot be named "${name}"`;
  if (name.length > 249) return `the topic name has ${name.length} characters; at most 249 are allowed`;
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return `the topic name ${JSON.stringify(name)} has characters other than a-z, A-Z, 0-9, ".", "_" and "-"`;
  }
  return undefined;
}

/** Why a group id is not legal, or undefined if it is. It is the name of a Durable Object. */
export function groupIdProblem(groupId: string): string | undefined {
  if (groupId === "") return "the group id is empty";
  if (new TextEncoder().encode(groupId).length <= GROUP_ID_BYTES_MAX) return undefined;
  return `the group id has more than ${GROUP_ID_BYTES_MAX} bytes of UTF-8`;
}

/** Why a transactional id is not legal, or undefined if it is. It is the name of a Durable Object. */
export function transactionalIdProblem(transactionalId: string): string | undefined {
  if (transactionalId === "") return "the transactional id is empty";
  if (new TextEncoder().encode(transactionalId).length <= TRANSACTIONAL_ID_BYTES_MAX) return undefined;
  return `the transactional id has more than ${TRANSACTIONAL_ID_BYTES_MAX} bytes of UTF-8`;
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
