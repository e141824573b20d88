/**
 * The classic protocol spoken to a group of KIP-848, while some of its members are not of that yet (Kafka's online upgrade).
 * JoinGroup and SyncGroup are answered at once: the generation is the member's epoch, nobody leads, and the assignment is
 * the coordinator's. A heartbeat tells the member to join again whenever that would bring it further.
 */

import { type ErrorName, type Failure, failure } from "../../../src/model/errors.ts";
import {
  CONSUMER_PROTOCOL_TYPE,
  readSubscription,
  type Subscription,
  writeConsumerAssignment,
} from "../consumer-protocol.ts";
import type {
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResult,
  LeavingMember,
  LeftMember,
  NamedPartitions,
  SyncedGroup,
  SyncGroupRequest,
} from "../rpc.ts";
import type { GroupContext } from "../settings.ts";
import { type Assignment, assignmentOf, topicPartitionsOf } from "./assignment.ts";
import {
  type ClassicTraits,
  type ConsumerMember,
  newConsumerMember,
  sameSubscription,
  takenOver,
  unknownMember,
} from "./consumer-member.ts";
import type { Membership } from "./membership.ts";
import type { TopicSnapshot } from "./topic-directory.ts";

const JOIN_TIMER = "rejoin ";
const SYNC_TIMER = "resync ";

type ClassicMember = ConsumerMember & { readonly classic: ClassicTraits };

export class ClassicFace {
  readonly #context: GroupContext;
  readonly #membership: Membership;

  constructor(context: GroupContext, membership: Membership) {
    this.#context = context;
    this.#membership = membership;
  }

  /** The object has woken: who was to join or to sync has its time anew. */
  restore(): void {
    for (const member of this.#membership.values()) {
      if (isClassic(member) && this.#mustJoin(member)) this.#awaitJoin(member);
    }
  }

  /** True if this is spoken by all members: the group may go back to it. */
  get isSpokenByAll(): boolean {
    for (const member of this.#membership.values()) if (!isClassic(member)) return false;
    return this.#membership.size > 0;
  }

  join(request: JoinGroupRequest, topics: TopicSnapshot | undefined): JoinGroupResult {
    const { memberId, instanceId } = request;
    const subscription = readSubscription(request.protocols[0]?.metadata ?? new Uint8Array());
    if (subscription === undefined || !this.#supports(request)) {
      return refusal(
        failure(
          "INCONSISTENT_GROUP_PROTOCOL",
          "the group's members are consumers, with one protocol in common",
        ),
        memberId,
      );
    }
    const before = this.#memberOf(request);
    if ("error" in before) return refusal(before, before.error === "GROUP_MAX_SIZE_REACHED" ? "" : memberId);
    if (memberId === "" && instanceId === null && request.requiresKnownMemberId) {
      return refusal(
        failure("MEMBER_ID_REQUIRED", "join again with the member id that comes with this"),
        before.memberId,
      );
    }
    const subscribed = { subscribedTopicNames: subscription.topics, subscribedTopicRegex: null };
    const tooMany = topics === undefined ? undefined : this.#membership.topicsProblem(subscribed, topics);
    if (tooMany !== undefined) return refusal(tooMany, memberId);
    if (before.instanceId !== null && before.memberId !== memberId) {
      const former = this.#membership.ofInstance(before.instanceId);
      if (former !== undefined) this.forget(former);
    }
    const member = joined(before, request, subscription);
    this.#membership.put(member);
    this.#membership.catchUp(!sameSubscription(before, member), topics);
    const owned = this.#ownedBy(subscription);
    const after = this.#membership.reconcile(member.memberId, owned);
    this.#membership.heard(after);
    this.#context.timers.cancel(JOIN_TIMER + after.memberId);
    this.#setTimer(SYNC_TIMER, after, request.sessionTimeoutMs);
    return {
      memberId: after.memberId,
      generation: after.epoch,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocolName: protocolOf(member),
      leader: "",
      skipAssignment: false,
      members: [],
    };
  }

  /** As known, a former self's successor, or new; not put yet. */
  #memberOf({ memberId, instanceId }: JoinGroupRequest): ConsumerMember | Failure {
    const ofInstance = this.#membership.ofInstance(instanceId);
    const newId = () => (memberId === "" ? this.#context.newId() : memberId);
    if (instanceId !== null && memberId !== "") {
      if (ofInstance === undefined) return unknownMember(memberId, instanceId);
      if (ofInstance.memberId === memberId) return ofInstance;
      return failure("FENCED_INSTANCE_ID", `instance ${instanceId} is member ${ofInstance.memberId} now`);
    }
    if (ofInstance !== undefined) return takenOver(ofInstance, newId());
    const known = this.#membership.get(memberId);
    if (known !== undefined) return known;
    const { size } = this.#membership;
    if (size < this.#context.settings.membersMax) return { ...newConsumerMember(newId()), instanceId };
    return failure("GROUP_MAX_SIZE_REACHED", `the group has ${size} members, the most that it can have`);
  }

  sync(request: SyncGroupRequest): SyncedGroup | Failure {
    const member = this.#speaker(request);
    if ("error" in member) return member;
    const protocolName = protocolOf(member);
    if (
      (request.protocolType !== null && request.protocolType !== CONSUMER_PROTOCOL_TYPE) ||
      (request.protocolName !== null && request.protocolName !== protocolName)
    ) {
      return failure("INCONSISTENT_GROUP_PROTOCOL", `the member joined with ${protocolName}`);
    }
    // Who is giving something up finishes with that first.
    if (this.#membership.record.groupEpoch > member.epoch && member.state !== "unrevoked") {
      this.#awaitJoin(member);
      return failure("REBALANCE_IN_PROGRESS");
    }
    this.#context.timers.cancel(SYNC_TIMER + member.memberId);
    this.#membership.heard(member);
    const { version } = readSubscription(member.classic.protocols[0]?.metadata ?? new Uint8Array()) ?? {
      version: 0,
    };
    return {
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocolName,
      assignment: writeConsumerAssignment(version, this.named(member.assigned)),
    };
  }

  heartbeat(request: HeartbeatRequest): Failure | null {
    const member = this.#speaker(request);
    if ("error" in member) return member;
    this.#membership.heard(member);
    if (!this.#mustJoin(member)) return null;
    this.#awaitJoin(member);
    return failure("REBALANCE_IN_PROGRESS");
  }

  /** Of any member: administrators remove those of KIP-848 so as well. */
  leave(leaving: readonly LeavingMember[]): LeftMember[] {
    return leaving.map((member) => ({ ...member, error: this.#leaveOne(member) }));
  }

  #leaveOne({ memberId, instanceId }: LeavingMember): ErrorName | null {
    const member =
      instanceId === null ? this.#membership.get(memberId) : this.#membership.ofInstance(instanceId);
    if (member === undefined) return "UNKNOWN_MEMBER_ID";
    if (memberId !== "" && member.memberId !== memberId) return "FENCED_INSTANCE_ID";
    this.forget(member);
    this.#membership.fence(member);
    return null;
  }

  /** By topic name; a topic that has been deleted has none any more. */
  named(assignment: Assignment): NamedPartitions[] {
    const names = this.#membership.topicNames();
    return topicPartitionsOf(assignment).flatMap(({ topicId, partitions }) => {
      const topic = names.get(topicId);
      return topic === undefined ? [] : { topic, partitions };
    });
  }

  timeIsUp(timer: string): void {
    for (const prefix of [JOIN_TIMER, SYNC_TIMER]) {
      if (timer.startsWith(prefix)) this.#membership.fenceById(timer.slice(prefix.length));
    }
  }

  /** Whether joining again would bring the member further. */
  #mustJoin(member: ClassicMember): boolean {
    if (member.epoch < this.#membership.record.groupEpoch || member.state === "unrevoked") return true;
    return member.state === "unreleased" && !this.#isWaiting(member);
  }

  #isWaiting({ memberId, target, assigned }: ClassicMember): boolean {
    return Object.entries(target).some(([topicId, partitions]) => {
      const has = new Set(assigned[topicId]);
      return partitions.some((partition) => {
        const owner = this.#membership.ownerOf(topicId, partition);
        return !has.has(partition) && owner !== undefined && owner !== memberId;
      });
    });
  }

  #speaker({ memberId, instanceId, generation }: HeartbeatRequest): ClassicMember | Failure {
    const ofInstance = this.#membership.ofInstance(instanceId);
    if (ofInstance !== undefined && ofInstance.memberId !== memberId) {
      return failure("FENCED_INSTANCE_ID", `instance ${instanceId} is member ${ofInstance.memberId} now`);
    }
    const member = instanceId === null ? this.#membership.get(memberId) : ofInstance;
    if (member === undefined || !isClassic(member)) return unknownMember(memberId, instanceId);
    if (generation === member.epoch) return member;
    return failure("ILLEGAL_GENERATION", `the member is at generation ${member.epoch}, not ${generation}`);
  }

  #supports({ protocolType, protocols }: JoinGroupRequest): boolean {
    if (protocolType !== CONSUMER_PROTOCOL_TYPE) return false;
    const others = [...this.#membership.values()].flatMap(({ classic }) => classic ?? []);
    return protocols.some(({ name }) =>
      others.every((other) => other.protocols.some((protocol) => protocol.name === name)),
    );
  }

  #ownedBy({ ownedPartitions }: Subscription): Assignment {
    const { topics } = this.#membership.record;
    return assignmentOf(
      ownedPartitions.flatMap(({ topic, partitions }) => {
        const known = Object.hasOwn(topics, topic) ? topics[topic] : undefined;
        return known === undefined ? [] : { topicId: known.topicId, partitions };
      }),
    );
  }

  /** The member and its timers go; nobody else notices. */
  forget(member: ConsumerMember): void {
    this.#context.timers.cancel(JOIN_TIMER + member.memberId);
    this.#context.timers.cancel(SYNC_TIMER + member.memberId);
    this.#membership.remove(member);
  }

  #awaitJoin(member: ConsumerMember): void {
    if (!this.#context.timers.isSet(JOIN_TIMER + member.memberId)) this.#setTimer(JOIN_TIMER, member);
  }

  #setTimer(prefix: string, { memberId, rebalanceTimeoutMs }: ConsumerMember, leastMs = 0): void {
    this.#context.timers.set(
      prefix + memberId,
      this.#context.clock.now() + Math.max(rebalanceTimeoutMs, leastMs),
    );
  }
}

export function isClassic(member: ConsumerMember): member is ClassicMember {
  return member.classic !== null;
}

/** Kafka's: the one that the member likes best. */
function protocolOf({ classic }: ConsumerMember): string {
  return classic?.protocols[0]?.name ?? "";
}

function joined(
  member: ConsumerMember,
  request: JoinGroupRequest,
  subscription: Subscription,
): ConsumerMember {
  return {
    ...member,
    rackId: subscription.rackId ?? member.rackId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    topicNames: [...new Set(subscription.topics)].sort(),
    topicRegex: "",
    assignor: null,
    classic: { sessionTimeoutMs: request.sessionTimeoutMs, protocols: request.protocols },
    native: null,
  };
}

function refusal(failed: Failure, memberId: string): JoinGroupResult {
  return { ...failed, memberId };
}
