/** Groups as the cluster describes them. */

import type { Answer } from "../answer.ts";

export interface GroupListing {
  readonly group: string;
  /** `classic`: a member assigns the partitions; `consumer`: the coordinator does (KIP-848). */
  readonly type: string;
  /** Kafka's: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Assigning`, `Reconciling`, `Stable`. */
  readonly state: string;
  /** `consumer` for consumers; empty of a group that only holds offsets. */
  readonly protocolType: string;
  /** How many there are. */
  readonly members: number;
}

export interface AssignedTopic {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface GroupMember {
  readonly memberId: string;
  /** Of a static member: its `group.instance.id`. */
  readonly instanceId: string | null;
  readonly clientId: string;
  /** As Kafka writes it: `/127.0.0.1`. */
  readonly clientHost: string;
  /** Of members of a `consumer` group. */
  readonly memberEpoch: number | null;
  readonly assignment: readonly AssignedTopic[];
  /** What a member of a `consumer` group is being moved towards. */
  readonly targetAssignment: readonly AssignedTopic[] | null;
}

/** How far a group lags in one partition. */
export interface GroupPartition {
  readonly topic: string;
  readonly partition: number;
  /** Of the record to be read next; null: the partition is assigned, and nothing is committed yet. */
  readonly committedOffset: number | null;
  readonly leaderEpoch: number | null;
  readonly metadata: string | null;
  /** ms since 1970. */
  readonly committedAtMs: number | null;
  /** The member that it is assigned to. */
  readonly memberId: string | null;
  readonly logStartOffset: number | null;
  readonly logEndOffset: number | null;
  /** The log end minus the committed offset, negative where that lies beyond; null where nothing is committed. */
  readonly lagRecords: number | null;
  /** The age of the oldest record that is not read, in ms; null where none is unread. */
  readonly lagMs: number | null;
  /** Why the partition's leader could not be asked; what it would have told is null. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface GroupDescription {
  readonly group: string;
  readonly type: string;
  readonly state: string;
  readonly protocolType: string;
  /** The assignor: of a `classic` group the one that its members have agreed on while it is `Stable`. */
  readonly protocol: string;
  /** Of a `classic` group. */
  readonly generation: number | null;
  /** Of a `consumer` group. */
  readonly groupEpoch: number | null;
  readonly assignmentEpoch: number | null;
  readonly members: readonly GroupMember[];
  /** What has a committed offset or is assigned, by topic name and partition. */
  readonly partitions: readonly GroupPartition[];
  /** There are more partitions than were asked for. */
  readonly isPartial: boolean;
  /** Of these partitions together; a negative one counts as 0. */
  readonly lagRecords: number;
  /** The longest among these partitions; null where nothing is unread. */
  readonly lagMs: number | null;
}

export interface CommittedOffset {
  readonly topic: string;
  readonly partition: number;
  /** Of the record to be read next. */
  readonly offset: number;
  /** Of the last record read; -1: not said. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** ms since 1970. */
  readonly committedAtMs: number;
}

export interface OffsetToSet {
  readonly topic: string;
  readonly partition: number;
  /** Of the record to be read next. */
  readonly offset: number;
  /** Of the last record read; absent: not said. */
  readonly leaderEpoch?: number;
  /** At most 4,096 characters. */
  readonly metadata?: string;
}

export function parseListing(answer: Answer): GroupListing {
  return {
    group: answer.text("group"),
    type: answer.text("type"),
    state: answer.text("state"),
    protocolType: answer.text("protocol_type"),
    members: answer.number("members"),
  };
}

/** One page of a description. */
export function parseDescription(answer: Answer): Omit<GroupDescription, "isPartial"> {
  return {
    group: answer.text("group"),
    type: answer.text("type"),
    state: answer.text("state"),
    protocolType: answer.text("protocol_type"),
    protocol: answer.text("protocol"),
    generation: answer.numberOrNull("generation"),
    groupEpoch: answer.numberOrNull("group_epoch"),
    assignmentEpoch: answer.numberOrNull("assignment_epoch"),
    members: answer.list("members", parseMember),
    partitions: answer.list("partitions", parsePartition),
    lagRecords: answer.number("lag_records"),
    lagMs: answer.numberOrNull("lag_ms"),
  };
}

export function parseOffset(answer: Answer): CommittedOffset {
  return {
    topic: answer.text("topic"),
    partition: answer.number("partition"),
    offset: answer.number("offset"),
    leaderEpoch: answer.number("leader_epoch"),
    metadata: answer.text("metadata"),
    committedAtMs: answer.number("committed_at_ms"),
  };
}

function parseMember(answer: Answer): GroupMember {
  const hasTarget = answer.has("target_assignment");
  return {
    memberId: answer.text("member_id"),
    instanceId: answer.textOrNull("instance_id"),
    clientId: answer.text("client_id"),
    clientHost: answer.text("client_host"),
    memberEpoch: answer.numberOrNull("member_epoch"),
    assignment: answer.list("assignment", parseAssigned),
    targetAssignment: hasTarget ? answer.list("target_assignment", parseAssigned) : null,
  };
}

function parseAssigned(answer: Answer): AssignedTopic {
  return { topic: answer.text("topic"), partitions: answer.numbers("partitions") };
}

function parsePartition(answer: Answer): GroupPartition {
  const error = answer.object("error");
  return {
    topic: answer.text("topic"),
    partition: answer.number("partition"),
    committedOffset: answer.numberOrNull("committed_offset"),
    leaderEpoch: answer.numberOrNull("leader_epoch"),
    metadata: answer.textOrNull("metadata"),
    committedAtMs: answer.numberOrNull("committed_at_ms"),
    memberId: answer.textOrNull("member_id"),
    logStartOffset: answer.numberOrNull("log_start_offset"),
    logEndOffset: answer.numberOrNull("log_end_offset"),
    lagRecords: answer.numberOrNull("lag_records"),
    lagMs: answer.numberOrNull("lag_ms"),
    error: error && { code: error.text("code"), message: error.text("message") },
  };
}
