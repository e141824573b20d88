/**
 * A group whose partitions are assigned here (KIP-848). Members only heartbeat; each is moved towards its target on its own,
 * so that nobody stops because somebody else joins.
 */

import { type Failure, failure } from "../../../src/model/errors.ts";
import type { GroupState } from "../../../src/model/groups.ts";
import { CONSUMER_PROTOCOL_TYPE } from "../consumer-protocol.ts";
import type { Committer } from "../group-offsets.ts";
import {
  type ConsumerGroupDescription,
  type ConsumerGroupHeartbeatAnswer,
  type ConsumerGroupHeartbeatRequest,
  type FetchOffsetsRequest,
  type GroupSummary,
  JOIN_EPOCH,
  LEAVE_EPOCH,
  LEAVE_STATIC_EPOCH,
  type NamedTopicPartitions,
} from "../rpc.ts";
import { Sessions } from "../sessions.ts";
import type { GroupContext } from "../settings.ts";
import {
  type Assignment,
  assignmentOf,
  isSubset,
  NOTHING,
  sameAssignment,
  topicPartitionsOf,
} from "./assignment.ts";
import { ClassicFace } from "./classic-face.ts";
import {
  type ConsumerMember,
  type NativeTraits,
  newConsumerMember,
  sameSubscription,
  takenOver,
  unknownMember,
} from "./consumer-member.ts";
import { type ConsumerRecord, Membership } from "./membership.ts";
import { isReconciled } from "./reconcile.ts";
import type { TopicSnapshot } from "./topic-directory.ts";

export class ConsumerGroup {
  readonly type = "consumer";
  readonly membership: Membership;
  /** What members of the classic protocol see of it, while the group goes over from the one to the other. */
  readonly classic: ClassicFace;
  readonly #context: GroupContext;

  constructor(context: GroupContext, record: ConsumerRecord) {
    this.#context = context;
    this.membership = new Membership(context, record);
    this.classic = new ClassicFace(context, this.membership);
  }

  static create(context: GroupContext, epoch = 0): ConsumerGroup {
    const group = new ConsumerGroup(context, NEW_RECORD);
    group.membership.change({ groupEpoch: epoch, assignmentEpoch: epoch });
    return group;
  }

  restore(): void {
    this.membership.restore();
    this.classic.restore();
  }

  get isEmpty(): boolean {
    return this.membership.size === 0;
  }

  get state(): GroupState {
    if (this.isEmpty) return "Empty";
    const { groupEpoch, assignmentEpoch } = this.membership.record;
    if (groupEpoch > assignmentEpoch) return "Assigning";
    const isStable = [...this.membership.values()].every((member) => isReconciled(member, assignmentEpoch));
    return isStable ? "Stable" : "Reconciling";
  }

  flush(): void {
    this.membership.flush();
  }

  // ── heartbeats ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * `topics`: as of now; undefined if the Controller cannot be reached: what is known must do. `native`: of a member that
   * does not speak Kafka's protocol; this is what it says, in the words of that protocol.
   */
  heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    topics: TopicSnapshot | undefined,
    native: NativeTraits | null = null,
  ): ConsumerGroupHeartbeatAnswer | Failure {
    if (request.memberEpoch < JOIN_EPOCH) return this.#leave(request);
    const tooMany = topics === undefined ? undefined : this.membership.topicsProblem(request, topics);
    if (tooMany !== undefined) return tooMany;
    const owned = request.topicPartitions === null ? null : assignmentOf(request.topicPartitions);
    const before = this.#memberOf(request, owned, native);
    if ("error" in before) return before;
    const member = updated(before, request, native);
    const isNew = this.membership.get(member.memberId) === undefined;
    this.membership.put(same(before, member) ? before : member);
    this.membership.catchUp(isNew || !sameSubscription(before, member), topics);
    const after = this.membership.reconcile(member.memberId, owned);
    this.membership.heard(after);
    const isFull =
      request.memberEpoch === JOIN_EPOCH ||
      (request.rebalanceTimeoutMs !== -1 &&
        (request.subscribedTopicNames !== null || request.subscribedTopicRegex !== null) &&
        owned !== null);
    const hasChanged = !sameAssignment(before.assigned, after.assigned);
    return this.#answer(
      after.memberId,
      after.epoch,
      isFull || hasChanged ? topicPartitionsOf(after.assigned) : null,
    );
  }

  #answer(
    memberId: string,
    memberEpoch: number,
    assignment: ConsumerGroupHeartbeatAnswer["assignment"],
  ): ConsumerGroupHeartbeatAnswer {
    const { consumerHeartbeatIntervalMs: heartbeatIntervalMs } = this.#context.settings;
    return { memberId, memberEpoch, heartbeatIntervalMs, assignment };
  }

  /** A member with a socket has given up what it was told to at this epoch; anything else it says is out of date. */
  acknowledge(memberId: string, epoch: number): void {
    const member = this.membership.get(memberId);
    if (member?.state === "unrevoked" && member.epoch === epoch) {
      this.membership.reconcile(memberId, member.assigned);
    }
  }

  /** One step towards its target of a member that is told when there is one: it gives nothing up before it says so. */
  moveOn(memberId: string): void {
    if (this.membership.get(memberId)?.native?.type === "socket") this.membership.reconcile(memberId, null);
  }

  /** The member that this is from, as known, or a new one. */
  #memberOf(
    request: ConsumerGroupHeartbeatRequest,
    owned: Assignment | null,
    native: NativeTraits | null,
  ): ConsumerMember | Failure {
    const { memberId, memberEpoch, instanceId } = request;
    const known = this.membership.get(memberId);
    const ofInstance = this.membership.ofInstance(instanceId);
    if (memberEpoch !== JOIN_EPOCH) {
      const member = instanceId === null ? known : ofInstance;
      if (member === undefined || member.native?.type !== native?.type) {
        return unknownMember(memberId, instanceId);
      }
      const problem = identityProblem(member, request);
      if (problem !== undefined) return problem;
      // What it was told over a socket that broke it may not have heard: it has at most what it is known to have.
      if (native?.type === "socket" && memberEpoch <= member.epoch) return member;
      return epochProblem(member, memberEpoch, owned) ?? member;
    }
    if (ofInstance !== undefined) return this.#takeOver(ofInstance, memberId);
    if (known === undefined) {
      const { size } = this.membership;
      if (size < this.#context.settings.membersMax) {
        return newConsumerMember(memberId === "" ? this.#context.newId() : memberId);
      }
      return failure("GROUP_MAX_SIZE_REACHED", `the group has ${size} members, the most that it can have`);
    }
    if (known.instanceId !== null) return unknownMember(memberId, instanceId);
    // Who joins has nothing, whatever it had before: an answer was lost, or the member has given up everything.
    return {
      ...known,
      epoch: JOIN_EPOCH,
      previousEpoch: JOIN_EPOCH,
      state: "stable",
      assigned: NOTHING,
      revoking: NOTHING,
    };
  }

  /** A static member starts again: what its former self had is its own. */
  #takeOver(former: ConsumerMember, memberId: string): ConsumerMember | Failure {
    const hasLeft = former.epoch === LEAVE_STATIC_EPOCH || former.classic !== null;
    if (!hasLeft && former.memberId !== memberId) {
      return failure(
        "UNRELEASED_INSTANCE_ID",
        `instance ${former.instanceId} is member ${former.memberId}, which has not left`,
      );
    }
    const member = takenOver(former, memberId === "" ? this.#context.newId() : memberId);
    this.membership.remove(former);
    this.membership.put(member);
    return member;
  }

  #leave(request: ConsumerGroupHeartbeatRequest): ConsumerGroupHeartbeatAnswer | Failure {
    const { memberId, memberEpoch, instanceId } = request;
    const member =
      instanceId === null ? this.membership.get(memberId) : this.membership.ofInstance(instanceId);
    if (member === undefined) return unknownMember(memberId, instanceId);
    const problem = identityProblem(member, request);
    if (problem !== undefined) return problem;
    if (memberEpoch === LEAVE_EPOCH) this.membership.fence(member);
    // It keeps its partitions until its session ends, so that it can be back soon.
    else this.membership.put({ ...member, epoch: LEAVE_STATIC_EPOCH, revoking: NOTHING });
    return this.#answer(memberId, memberEpoch, null);
  }

  timeIsUp(timer: string): void {
    const memberId = Sessions.memberOf(timer);
    if (memberId !== undefined) this.membership.fenceById(memberId);
    else if (!this.membership.timeIsUp(timer)) this.classic.timeIsUp(timer);
  }

  // ── offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  commitProblem({
    memberId,
    generation,
    knowsMemberEpochs,
    offsets,
    setsBack,
  }: Committer): Failure | undefined {
    if (generation < 0 && this.isEmpty) return undefined;
    const member = this.membership.get(memberId);
    if (member === undefined) return unknownMember(memberId, null);
    if (member.classic !== null) return staleProblem(member, generation);
    if (!knowsMemberEpochs) {
      return failure(
        "UNSUPPORTED_VERSION",
        "members of such a group commit with OffsetCommit version 9 or later",
      );
    }
    // The member has moved on while its commit was on its way, and kept what it commits (KIP-1251). Kafka takes it also
    // where the member has committed more meanwhile.
    const isOnlyLate =
      generation < member.epoch && this.membership.hasHadSince(generation, memberId, offsets) && !setsBack();
    return isOnlyLate ? undefined : staleProblem(member, generation);
  }

  fetchProblem({ memberId, memberEpoch }: FetchOffsetsRequest): Failure | undefined {
    if (memberId === null && memberEpoch < 0) return undefined;
    const member = this.membership.get(memberId ?? "");
    // Some clients of the classic protocol say who they are and not at which generation.
    if (member !== undefined && member.classic !== null && memberEpoch < 0) return undefined;
    return member === undefined ? unknownMember(memberId ?? "", null) : staleProblem(member, memberEpoch);
  }

  get mayDeleteOffsets(): boolean {
    return true;
  }

  isSubscribedTo(topic: string): boolean {
    return [...this.membership.values()].some(
      ({ topicNames, topicRegex }) =>
        topicNames.includes(topic) || (topicRegex !== "" && this.membership.matches(topicRegex, topic)),
    );
  }

  get offsetsExpireFrom(): "commit" {
    return "commit";
  }

  // ── describing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  summary(): GroupSummary {
    return {
      type: "consumer",
      state: this.state,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      memberCount: this.membership.size,
    };
  }

  describe(): ConsumerGroupDescription {
    const { groupEpoch, assignmentEpoch } = this.membership.record;
    const names = this.membership.topicNames();
    // A topic that has been deleted has no name any more.
    const named = (assignment: Assignment): NamedTopicPartitions[] =>
      topicPartitionsOf(assignment).flatMap(({ topicId, partitions }) => {
        const topic = names.get(topicId);
        return topic === undefined ? [] : { topicId, topic, partitions };
      });
    return {
      type: "consumer",
      state: this.state,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      groupEpoch,
      assignmentEpoch,
      assignor: this.membership.assignor(),
      members: [...this.membership.values()].map((member) => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        rackId: member.rackId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberEpoch: member.epoch,
        subscribedTopicNames: member.topicNames,
        subscribedTopicRegex: member.topicRegex === "" ? null : member.topicRegex,
        assignment: named(member.assigned),
        targetAssignment: named(member.target),
        type: member.classic === null ? "consumer" : "classic",
      })),
    };
  }
}

const NEW_RECORD: ConsumerRecord = { type: "consumer", groupEpoch: 0, assignmentEpoch: 0, topics: {} };

/** What the request says anew. */
function updated(
  member: ConsumerMember,
  request: ConsumerGroupHeartbeatRequest,
  native: NativeTraits | null,
): ConsumerMember {
  const { instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs, serverAssignor } = request;
  const { subscribedTopicNames: names, subscribedTopicRegex: regex } = request;
  return {
    ...member,
    instanceId: instanceId ?? member.instanceId,
    rackId: rackId ?? member.rackId,
    clientId,
    clientHost,
    rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? member.rebalanceTimeoutMs : rebalanceTimeoutMs,
    assignor: serverAssignor ?? member.assignor,
    topicNames: names === null ? member.topicNames : [...new Set(names)].sort(),
    topicRegex: regex ?? member.topicRegex,
    classic: null,
    native,
  };
}

function same(one: ConsumerMember, other: ConsumerMember): boolean {
  return (
    one.instanceId === other.instanceId &&
    one.rackId === other.rackId &&
    one.clientId === other.clientId &&
    one.clientHost === other.clientHost &&
    one.rebalanceTimeoutMs === other.rebalanceTimeoutMs &&
    one.assignor === other.assignor &&
    one.classic === other.classic &&
    sameNative(one.native, other.native) &&
    sameSubscription(one, other)
  );
}

function sameNative(one: NativeTraits | null, other: NativeTraits | null): boolean {
  if (one?.type === "poll" && other?.type === "poll") return one.sessionTimeoutMs === other.sessionTimeoutMs;
  return one?.type === other?.type;
}

function identityProblem(
  member: ConsumerMember,
  { memberId, instanceId }: ConsumerGroupHeartbeatRequest,
): Failure | undefined {
  if (member.memberId === memberId) return undefined;
  return failure("FENCED_INSTANCE_ID", `instance ${instanceId} is member ${member.memberId} now`);
}

/** A member whose last answer was lost comes with the epoch before, and with no more than it was given since. */
function epochProblem(
  { memberId, epoch, previousEpoch, assigned }: ConsumerMember,
  asked: number,
  owned: Assignment | null,
): Failure | undefined {
  if (asked === epoch) return undefined;
  const hasLostAnswer =
    asked < epoch && asked === previousEpoch && owned !== null && isSubset(owned, assigned);
  if (hasLostAnswer) return undefined;
  return failure(
    "FENCED_MEMBER_EPOCH",
    `member ${memberId} is at epoch ${epoch}, not ${asked}: it must give up its partitions and join again`,
  );
}

function staleProblem({ epoch, classic }: ConsumerMember, asked: number): Failure | undefined {
  if (asked === epoch) return undefined;
  const error = classic === null ? "STALE_MEMBER_EPOCH" : "ILLEGAL_GENERATION";
  return failure(error, `the member is at epoch ${epoch}, not ${asked}`);
}
