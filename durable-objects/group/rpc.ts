/**
 * What the coordinator of a group can be asked. Everything here crosses an RPC: plain values, bytes in buffers of their
 * own (a view would ship its whole backing buffer), refusals as {@link Failure} values with Kafka's error names.
 *
 * JoinGroup and SyncGroup are answered when the rebalance has come so far; an exception means that the object was lost:
 * what it was asked may have been done, and the member asks again (COORDINATOR_NOT_AVAILABLE to a Kafka client).
 */

import type { ErrorName, Failure } from "../../src/model/errors.ts";
import type { GroupState, GroupType } from "../../src/model/groups.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { ProducerIdentity, TransactionOutcome } from "../transaction/rpc.ts";

/** Who a member is, as others see it. */
export interface Caller {
  readonly clientId: string;
  /** Kafka writes it as `/127.0.0.1`. */
  readonly clientHost: string;
}

// ── classic ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface MemberProtocol {
  readonly name: string;
  /** Opaque; of protocol type "consumer": Kafka's ConsumerProtocolSubscription. */
  readonly metadata: Uint8Array;
}

export interface JoinGroupRequest extends Caller {
  /** Empty: not known yet. */
  readonly memberId: string;
  /** `group.instance.id` of a static member (KIP-345). */
  readonly instanceId: string | null;
  readonly sessionTimeoutMs: number;
  /** Negative: as the session timeout. */
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  /** The member's favourite first. */
  readonly protocols: readonly MemberProtocol[];
  /** A dynamic member is first told its id, by MEMBER_ID_REQUIRED (KIP-394; JoinGroup from version 4 on). */
  readonly requiresKnownMemberId: boolean;
  /** A static leader that comes back is told not to assign again (KIP-814; JoinGroup from version 9 on). */
  readonly canSkipAssignment: boolean;
}

export interface JoinedMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly metadata: Uint8Array;
}

export interface JoinedGroup {
  readonly memberId: string;
  readonly generation: number;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly leader: string;
  readonly skipAssignment: boolean;
  /** To the leader all members, to the others none. */
  readonly members: readonly JoinedMember[];
}

/** MEMBER_ID_REQUIRED brings the id to join with. */
export type JoinGroupResult = JoinedGroup | (Failure & { readonly memberId: string });

export interface MemberAssignment {
  readonly memberId: string;
  readonly assignment: Uint8Array;
}

export interface SyncGroupRequest {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  /** Checked if given (KIP-559). */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** The leader's; the others' are ignored. */
  readonly assignments: readonly MemberAssignment[];
}

export interface SyncedGroup {
  readonly protocolType: string;
  readonly protocolName: string;
  readonly assignment: Uint8Array;
}

export interface HeartbeatRequest {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
}

export interface LeavingMember {
  /** Empty: whoever has the instance id, as an administrator removes static members. */
  readonly memberId: string;
  readonly instanceId: string | null;
}

export interface LeftMember extends LeavingMember {
  /** null: it is gone. */
  readonly error: ErrorName | null;
}

// ── consumer (KIP-848) ─────────────────────────────────────────────────────────────────────────────────────────────

export interface TopicPartitions {
  readonly topicId: TopicId;
  readonly partitions: readonly number[];
}

/** Member epochs that are not one. */
export const JOIN_EPOCH = 0;
export const LEAVE_EPOCH = -1;
/** A static member leaves for a while. */
export const LEAVE_STATIC_EPOCH = -2;

/** null: as the last time. */
export interface ConsumerGroupHeartbeatRequest extends Caller {
  /** Made by the member from version 1 on; empty: the coordinator makes one. */
  readonly memberId: string;
  /** The epoch that the member is at, or one of those above. */
  readonly memberEpoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  /** -1: as the last time. */
  readonly rebalanceTimeoutMs: number;
  readonly subscribedTopicNames: readonly string[] | null;
  /** RE2's syntax; matches whole names. Empty: none any more. */
  readonly subscribedTopicRegex: string | null;
  readonly serverAssignor: string | null;
  /** What the member owns. */
  readonly topicPartitions: readonly TopicPartitions[] | null;
}

export interface ConsumerGroupHeartbeatAnswer {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly heartbeatIntervalMs: number;
  /** null: as the last time. */
  readonly assignment: readonly TopicPartitions[] | null;
}

// ── polling over HTTP ───────────────────────────────────────────────────────────────────────────────────────────────

export interface PollRequest extends Caller {
  /** Empty: the coordinator makes one. One that is not a member joins under this name. */
  readonly memberId: string;
  readonly subscribedTopicNames: readonly string[];
  /** RE2's syntax; empty: none. */
  readonly subscribedTopicRegex: string;
  /** The member is one for so long after the poll has been answered. */
  readonly sessionTimeoutMs: number;
  /** The answer may take so long. */
  readonly waitMs: number;
  /** The poll that the member has had the answer of: this one goes on after it. */
  readonly received: string | null;
}

export interface PositionOfPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  readonly offset: number;
}

export interface PolledPartition extends PartitionOfTopic {
  readonly topicId: TopicId;
  /** Where to read on; null: nothing is committed, nor was anything given to this member. */
  readonly offset: number | null;
}

export interface PollAnswer {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly pollId: string;
  readonly assigned: readonly PolledPartition[];
  /** The next poll gives these up; they can be committed before. */
  readonly revoke: readonly NamedTopicPartitions[];
  /** Those of the topics named that are not there (yet), as far as the coordinator knows. */
  readonly missingTopics: readonly string[];
}

export interface DeliveredPoll {
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly pollId: string;
  /** Of the partitions whose records the answer brings: where to read on after it. */
  readonly positions: readonly PositionOfPartition[];
}

// ── describing ─────────────────────────────────────────────────────────────────────────────────────────────────────

export interface GroupKind {
  readonly type: GroupType;
  readonly state: GroupState;
  /** Empty of a group that only holds offsets. */
  readonly protocolType: string;
}

export interface GroupSummary extends GroupKind {
  readonly memberCount: number;
}

export interface NamedPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface ClassicMemberDescription extends Caller {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Both empty unless the group is Stable. */
  readonly metadata: Uint8Array;
  readonly assignment: Uint8Array;
  /** What a consumer's assignment says; empty where it is none. */
  readonly partitions: readonly NamedPartitions[];
}

export interface ClassicGroupDescription extends GroupKind {
  readonly type: "classic";
  readonly generation: number;
  readonly protocolName: string;
  readonly members: readonly ClassicMemberDescription[];
}

export interface NamedTopicPartitions extends TopicPartitions, NamedPartitions {}

export interface ConsumerMemberDescription extends Caller {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly memberEpoch: number;
  readonly subscribedTopicNames: readonly string[];
  readonly subscribedTopicRegex: string | null;
  readonly assignment: readonly NamedTopicPartitions[];
  readonly targetAssignment: readonly NamedTopicPartitions[];
  /** A member of a group that is being upgraded may still speak the classic protocol. */
  readonly type: GroupType;
}

export interface ConsumerGroupDescription extends GroupKind {
  readonly type: "consumer";
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  readonly assignor: string;
  readonly members: readonly ConsumerMemberDescription[];
}

export type GroupDescription = ClassicGroupDescription | ConsumerGroupDescription;

// ── offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Topics by id: a topic that was recreated under the same name has no offsets. */
export interface OffsetToCommit {
  readonly topicId: TopicId;
  readonly topic: string;
  readonly partition: number;
  /** Of the record to be read next. */
  readonly offset: number;
  /** Of the last record read, or -1. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

export interface CommitOffsetsRequest {
  /** Empty, with a negative generation: a consumer that manages its partitions itself, or an administrator. */
  readonly memberId: string;
  readonly instanceId: string | null;
  /** The generation, or the member epoch (KIP-848). */
  readonly generation: number;
  /** False: the caller's protocol is older than member epochs (OffsetCommit before version 9). */
  readonly knowsMemberEpochs: boolean;
  /** OffsetCommit up to version 4: these offsets expire so long after now, whatever the group's life. */
  readonly retentionMs?: number;
  readonly offsets: readonly OffsetToCommit[];
}

/** Kafka's TxnOffsetCommit: the offsets count when the transaction is committed, and never if it is aborted. */
export interface CommitTransactionOffsetsRequest extends ProducerIdentity {
  readonly transactionalId: string;
  /** True: the group becomes part of the transaction (KIP-890; TxnOffsetCommit from version 5 on); false: it must be. */
  readonly adds: boolean;
  /** Empty, with a negative generation: not checked (TxnOffsetCommit before version 3). */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  readonly offsets: readonly OffsetToCommit[];
}

export interface CommittedPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  /** null: it is stored. */
  readonly error: ErrorName | null;
}

export interface FetchOffsetsRequest {
  /** Checked if given (KIP-848; OffsetFetch from version 9 on). */
  readonly memberId: string | null;
  readonly memberEpoch: number;
  /** null: all that there are. */
  readonly topics: readonly TopicPartitions[] | null;
  /**
   * Where a transaction that has not ended will commit an offset or will not, UNSTABLE_OFFSET_COMMIT is told (KIP-447);
   * default false: what is committed.
   */
  readonly requireStable?: boolean;
}

export interface CommittedOffset extends OffsetToCommit {
  readonly committedAtMs: number;
}

/** With an error nothing else is told: the offset is -1. */
export interface FetchedOffset extends CommittedOffset {
  readonly error?: "UNSTABLE_OFFSET_COMMIT";
}

export interface PartitionOfTopic {
  readonly topic: string;
  readonly partition: number;
}

export interface OffsetsPageRequest {
  /** Only what sorts after it; absent: from the first. */
  readonly after?: PartitionOfTopic;
  /** At most GROUP_OFFSETS_PER_PAGE_MAX. */
  readonly limit: number;
  /** Also the offsets of topics that are deleted: the Controller is not asked which are left. Default false. */
  readonly asStored?: boolean;
}

export interface OffsetsToDelete {
  readonly topicId: TopicId;
  readonly topic: string;
  /** null: all that the group has an offset of, also one that a transaction may yet commit. */
  readonly partitions: readonly number[] | null;
}

/** Some of a group's offsets, by topic name and partition. */
export interface OffsetsPage extends GroupSummary {
  readonly offsets: readonly CommittedOffset[];
  readonly isLast: boolean;
}

export interface DeletedPartition {
  readonly topicId: TopicId;
  readonly partition: number;
  /** null: there is none any more. */
  readonly error: ErrorName | null;
}

/** The RPC methods of the Durable Object class `GroupCoordinator`; the object's name is the group's id. */
export interface GroupRpc {
  joinGroup(request: JoinGroupRequest): Promise<JoinGroupResult>;
  syncGroup(request: SyncGroupRequest): Promise<SyncedGroup | Failure>;
  /** null: all is well. */
  heartbeat(request: HeartbeatRequest): Promise<Failure | null>;
  /** One answer per member, in order. */
  leaveGroup(members: readonly LeavingMember[]): Promise<LeftMember[] | Failure>;
  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure>;
  /** As {@link consumerGroupHeartbeat}, of a member that holds nothing open. */
  poll(request: PollRequest): Promise<PollAnswer | Failure>;
  /** null: the answer may be sent. UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH: the member is one no more, or has moved on. */
  delivered(poll: DeliveredPoll): Promise<Failure | null>;
  /** Whatever it speaks, it is one no more (as Kafka's RemoveMembersFromConsumerGroup). UNKNOWN_MEMBER_ID. null: it is gone. */
  removeMember(memberId: string): Promise<Failure | null>;
  /** GROUP_ID_NOT_FOUND */
  summary(): Promise<GroupSummary | Failure>;
  /** GROUP_ID_NOT_FOUND */
  describe(): Promise<GroupDescription | Failure>;
  /** All in one transaction, but each with its own error; a Failure refuses all. */
  commitOffsets(request: CommitOffsetsRequest): Promise<CommittedPartition[] | Failure>;
  /**
   * Kafka's TxnOffsetCommit. Besides what {@link commitOffsets} answers: what the transaction's coordinator does, INVALID_TXN_STATE
   * if the transaction ends meanwhile, COORDINATOR_LOAD_IN_PROGRESS if its coordinator cannot be reached (retry).
   */
  commitTransactionOffsets(request: CommitTransactionOffsetsRequest): Promise<CommittedPartition[] | Failure>;
  /** Kafka's WriteTxnMarkers. null: done, also where there was nothing to do. Can be repeated. */
  writeTransactionMarker(outcome: TransactionOutcome): Promise<Failure | null>;
  /** Only what is there: an unknown group has none. */
  fetchOffsets(request: FetchOffsetsRequest): Promise<FetchedOffset[] | Failure>;
  /** GROUP_ID_NOT_FOUND. The first page forgets the offsets of topics that are deleted. */
  offsetsPage(request: OffsetsPageRequest): Promise<OffsetsPage | Failure>;
  /** GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP; GROUP_SUBSCRIBED_TO_TOPIC for the partitions of such a topic. */
  deleteOffsets(topics: readonly OffsetsToDelete[]): Promise<DeletedPartition[] | Failure>;
  /** GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP. null: nothing is left. */
  deleteGroup(): Promise<Failure | null>;
  /** These topics are deleted: their offsets go. Can be repeated. */
  forgetTopics(topicIds: readonly TopicId[]): Promise<void>;
}
