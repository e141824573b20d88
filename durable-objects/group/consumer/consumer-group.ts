/**
 * A group whose partitions are assigned here (KIP-848). Members only heartbeat; each is moved towards its target on its own,
 * so that nobody stops because somebody else joins.
 *
 * Three epochs: the *group epoch* rises whenever members, subscriptions or topics change; the *assignment epoch* is the group
 * epoch that the targets were made for; a *member epoch* is the assignment epoch that a member has come to.
 *
 * All of it is stored; when the object wakes, members have their timeouts anew.
 */

import { type Failure, failure, isFailure } from "../../../src/model/errors.ts";
import type { TopicId } from "../../../src/model/ids.ts";
import { GROUP_ASSIGNED_PARTITIONS_MAX } from "../../../src/model/limits.ts";
import { CONSUMER_PROTOCOL_TYPE } from "../consumer-protocol.ts";
import { Members } from "../members.ts";
import {
  type CommitOffsetsRequest,
  type ConsumerGroupDescription,
  type ConsumerGroupHeartbeatAnswer,
  type ConsumerGroupHeartbeatRequest,
  type FetchOffsetsRequest,
  type GroupState,
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
import { ASSIGNORS, DEFAULT_ASSIGNOR } from "./assignors.ts";
import { type ConsumerMember, consumerMemberCodec, newConsumerMember } from "./consumer-member.ts";
import { PartitionOwners } from "./partition-owners.ts";
import { isReconciled, reconcile } from "./reconcile.ts";
import type { KnownTopic, Subscriptions, TopicSnapshot } from "./topic-directory.ts";
import { type TopicPattern, topicPattern } from "./topic-pattern.ts";

/** What is stored of the group itself. */
export interface ConsumerRecord {
  readonly type: "consumer";
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  /** Those that exist of the topics subscribed to, by name, as the group epoch knows them. */
  readonly topics: Readonly<Record<string, Omit<KnownTopic, "name">>>;
}

const REVOKE_TIMER = "revoke ";

export class ConsumerGroup {
  readonly type = "consumer";
  readonly #context: GroupContext;
  readonly #members: Members<ConsumerMember>;
  readonly #owners = new PartitionOwners();
  readonly #patterns = new Map<string, TopicPattern>();
  /** Of all members together; undefined: to be gathered anew. */
  #subscriptions: Subscriptions | undefined;
  #record: ConsumerRecord;
  #isRecordChanged = false;
  /** The version of the topics that the record knows. */
  #topicsVersion: number | undefined;
  /** Epochs of the members that a revocation is awaited of. */
  readonly #revoking = new Map<string, number>();

  constructor(context: GroupContext, record: ConsumerRecord) {
    this.#context = context;
    this.#record = record;
    this.#members = new Members(context.store, consumerMemberCodec);
    for (const member of this.#members.values()) this.#owners.add(member);
  }

  static create(context: GroupContext): ConsumerGroup {
    const record = { type: "consumer", groupEpoch: 0, assignmentEpoch: 0, topics: {} } as const;
    const group = new ConsumerGroup(context, record);
    group.#isRecordChanged = true;
    return group;
  }

  restore(): void {
    for (const stored of this.#context.store.members()) {
      const member = this.#members.get(stored.memberId);
      if (member === undefined) continue;
      this.#context.sessions.restore(stored, this.#context.settings.consumerSessionTimeoutMs);
      this.#awaitRevocation(member);
    }
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  get state(): GroupState {
    if (this.isEmpty) return "Empty";
    const { groupEpoch, assignmentEpoch } = this.#record;
    if (groupEpoch > assignmentEpoch) return "Assigning";
    const isStable = [...this.#members.values()].every((member) => isReconciled(member, assignmentEpoch));
    return isStable ? "Stable" : "Reconciling";
  }

  flush(): void {
    this.#members.flush();
    if (this.#isRecordChanged) this.#context.store.saveGroup(JSON.stringify(this.#record));
    this.#isRecordChanged = false;
  }

  // ── heartbeats ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What must be known of topics before such a request can be worked on; INVALID_REGULAR_EXPRESSION. */
  subscriptionsWith({
    subscribedTopicNames,
    subscribedTopicRegex,
  }: Pick<ConsumerGroupHeartbeatRequest, "subscribedTopicNames" | "subscribedTopicRegex">):
    | Subscriptions
    | Failure {
    const known = this.#allSubscriptions();
    const newNames = (subscribedTopicNames ?? []).filter((name) => !known.names.has(name));
    const regex = subscribedTopicRegex ?? "";
    if (newNames.length === 0 && (regex === "" || known.patterns.has(regex))) return known;
    const pattern = this.#pattern(regex);
    if (isFailure(pattern)) return pattern;
    const patterns = regex === "" ? known.patterns : new Map([...known.patterns, [regex, pattern]]);
    return { names: new Set([...known.names, ...newNames]), patterns };
  }

  #allSubscriptions(): Subscriptions {
    if (this.#subscriptions !== undefined) return this.#subscriptions;
    const names = new Set<string>();
    const patterns = new Map<string, TopicPattern>();
    for (const { topicNames, topicRegex } of this.#members.values()) {
      for (const name of topicNames) names.add(name);
      const pattern = topicRegex === "" ? undefined : this.#pattern(topicRegex);
      if (pattern !== undefined && !isFailure(pattern)) patterns.set(topicRegex, pattern);
    }
    this.#subscriptions = { names, patterns };
    return this.#subscriptions;
  }

  /** `topics`: as of now; undefined if the Controller cannot be reached: what is known must do. */
  heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    topics: TopicSnapshot | undefined,
  ): ConsumerGroupHeartbeatAnswer | Failure {
    if (request.memberEpoch === LEAVE_EPOCH || request.memberEpoch === LEAVE_STATIC_EPOCH) {
      return this.#leave(request);
    }
    const tooMany = topics === undefined ? undefined : this.#partitionsProblem(request, topics);
    if (tooMany !== undefined) return tooMany;
    const owned = request.topicPartitions === null ? null : assignmentOf(request.topicPartitions);
    const before = this.#memberOf(request, owned);
    if (isFailure(before)) return before;
    const member = updated(before, request);
    const hasNewSubscription =
      !this.#members.has(member.memberId) ||
      member.topicRegex !== before.topicRegex ||
      !sameTexts(member.topicNames, before.topicNames);
    this.#put(same(before, member) ? before : member);
    this.#catchUp(hasNewSubscription, topics);
    const after = this.#reconcile(member.memberId, owned);
    this.#context.sessions.heard(member.memberId, this.#context.settings.consumerSessionTimeoutMs);
    const isFull =
      request.memberEpoch === JOIN_EPOCH ||
      (request.rebalanceTimeoutMs !== -1 &&
        (request.subscribedTopicNames !== null || request.subscribedTopicRegex !== null) &&
        owned !== null);
    const hasChanged = !sameAssignment(before.assigned, after.assigned);
    return {
      memberId: after.memberId,
      memberEpoch: after.epoch,
      heartbeatIntervalMs: this.#context.settings.consumerHeartbeatIntervalMs,
      assignment: isFull || hasChanged ? topicPartitionsOf(after.assigned) : null,
    };
  }

  /** The member that this is from, as known, or a new one. */
  #memberOf(request: ConsumerGroupHeartbeatRequest, owned: Assignment | null): ConsumerMember | Failure {
    const { memberId, memberEpoch, instanceId } = request;
    const isJoining = memberEpoch === JOIN_EPOCH;
    const known = this.#members.get(memberId);
    const ofInstance = this.#members.ofInstance(instanceId);
    if (!isJoining) {
      const member = instanceId === null ? known : ofInstance;
      if (member === undefined) return unknownMember(memberId, instanceId);
      return this.#identityProblem(member, request) ?? epochProblem(member, memberEpoch, owned) ?? member;
    }
    const isNew = known === undefined && ofInstance === undefined;
    if (isNew && this.#members.size >= this.#context.settings.membersMax) {
      return failure(
        "GROUP_MAX_SIZE_REACHED",
        `the group has ${this.#members.size} members, the most it can have`,
      );
    }
    if (ofInstance !== undefined) return this.#takeOver(ofInstance, memberId);
    if (known === undefined) return newConsumerMember(memberId === "" ? this.#context.newId() : memberId);
    if (known.instanceId !== null) return unknownMember(memberId, instanceId);
    // Who joins has nothing, whatever it had before: an answer was lost, or the member has given up everything.
    return { ...known, ...START_AGAIN };
  }

  /** A static member starts again: what its former self had is its own. */
  #takeOver(former: ConsumerMember, memberId: string): ConsumerMember | Failure {
    if (former.epoch !== LEAVE_STATIC_EPOCH && former.memberId !== memberId) {
      return failure(
        "UNRELEASED_INSTANCE_ID",
        `instance ${former.instanceId} is member ${former.memberId}, which has not left`,
      );
    }
    const member = {
      ...former,
      memberId: memberId === "" ? this.#context.newId() : memberId,
      epoch: JOIN_EPOCH,
      previousEpoch: JOIN_EPOCH,
      state: "stable" as const,
      revoking: NOTHING,
    };
    this.#remove(former);
    this.#put(member);
    return member;
  }

  #identityProblem(member: ConsumerMember, { memberId, instanceId }: ConsumerGroupHeartbeatRequest) {
    if (member.memberId === memberId) return undefined;
    return failure("FENCED_INSTANCE_ID", `instance ${instanceId} is member ${member.memberId} now`);
  }

  // ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #leave(request: ConsumerGroupHeartbeatRequest): ConsumerGroupHeartbeatAnswer | Failure {
    const { memberId, memberEpoch, instanceId } = request;
    const member = instanceId === null ? this.#members.get(memberId) : this.#members.ofInstance(instanceId);
    if (member === undefined) return unknownMember(memberId, instanceId);
    const problem = this.#identityProblem(member, request);
    if (problem !== undefined) return problem;
    if (memberEpoch === LEAVE_EPOCH) this.#fence(member);
    // It keeps its partitions until its session ends, so that it can be back soon.
    else this.#put({ ...member, epoch: LEAVE_STATIC_EPOCH, revoking: NOTHING });
    return {
      memberId,
      memberEpoch,
      heartbeatIntervalMs: this.#context.settings.consumerHeartbeatIntervalMs,
      assignment: null,
    };
  }

  #fence(member: ConsumerMember): void {
    this.#remove(member);
    this.#change({ groupEpoch: this.#record.groupEpoch + 1 });
  }

  timeIsUp(timer: string): void {
    const memberId = Sessions.memberOf(timer);
    if (memberId !== undefined) this.#fenceById(memberId);
    if (!timer.startsWith(REVOKE_TIMER)) return;
    const slow = timer.slice(REVOKE_TIMER.length);
    // It has been told to give something up, and has not said for its rebalance timeout that it has.
    if (this.#members.get(slow)?.epoch === this.#revoking.get(slow)) this.#fenceById(slow);
  }

  #fenceById(memberId: string): void {
    const member = this.#members.get(memberId);
    if (member !== undefined) this.#fence(member);
  }

  // ── assigning ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The group and its targets, after members or topics have changed. */
  #catchUp(hasNewSubscription: boolean, topics: TopicSnapshot | undefined): void {
    let hasChanged = hasNewSubscription;
    const isBehind = hasChanged || this.#record.groupEpoch > this.#record.assignmentEpoch;
    if (topics !== undefined && (isBehind || topics.version !== this.#topicsVersion)) {
      const known = this.#topicsIn(topics);
      this.#topicsVersion = topics.version;
      if (!sameTopics(known, this.#record.topics)) {
        this.#change({ topics: known });
        hasChanged = true;
      }
    }
    if (hasChanged) this.#change({ groupEpoch: this.#record.groupEpoch + 1 });
    if (this.#record.groupEpoch > this.#record.assignmentEpoch) this.#assign();
  }

  #topicsIn(topics: TopicSnapshot): ConsumerRecord["topics"] {
    const known: Record<string, Omit<KnownTopic, "name">> = {};
    for (const name of this.#subscribedNames(topics)) {
      const topic = topics.find(name);
      if (topic !== undefined) known[name] = { topicId: topic.topicId, partitions: topic.partitions };
    }
    return known;
  }

  /** A new subscription may bring more partitions than can be assigned. */
  #partitionsProblem(
    { subscribedTopicNames, subscribedTopicRegex }: ConsumerGroupHeartbeatRequest,
    topics: TopicSnapshot,
  ): Failure | undefined {
    if (subscribedTopicNames === null && subscribedTopicRegex === null) return undefined;
    const names = this.#subscribedNames(topics);
    for (const name of subscribedTopicNames ?? []) names.add(name);
    for (const name of topics.matching(subscribedTopicRegex ?? "")) names.add(name);
    let total = 0;
    for (const name of names) total += topics.find(name)?.partitions ?? 0;
    if (total <= GROUP_ASSIGNED_PARTITIONS_MAX) return undefined;
    return failure(
      "INVALID_REQUEST",
      `the group would be subscribed to ${total} partitions; at most ${GROUP_ASSIGNED_PARTITIONS_MAX} can be assigned in one group`,
    );
  }

  #subscribedNames(topics: TopicSnapshot): Set<string> {
    const names = new Set<string>();
    for (const { topicNames, topicRegex } of this.#members.values()) {
      for (const name of topicNames) names.add(name);
      if (topicRegex !== "") for (const name of topics.matching(topicRegex)) names.add(name);
    }
    return names;
  }

  #assign(): void {
    const members = [...this.#members.values()];
    const assignable = members.map(({ memberId, instanceId, target, ...member }) => ({
      memberId,
      instanceId,
      target,
      topicIds: this.#topicIdsOf(member),
    }));
    const partitions = new Map<TopicId, number>();
    for (const topic of Object.values(this.#record.topics)) {
      // Of a member that has left, a topic may be left that nobody subscribes to any more.
      const isSubscribed = assignable.some(({ topicIds }) => topicIds.has(topic.topicId));
      if (isSubscribed) partitions.set(topic.topicId, topic.partitions);
    }
    const targets = ASSIGNORS.get(this.#assignor())?.(assignable, partitions);
    for (const member of members) {
      const target = targets?.get(member.memberId) ?? NOTHING;
      if (!sameAssignment(target, member.target)) this.#put({ ...member, target });
    }
    this.#change({ assignmentEpoch: this.#record.groupEpoch });
  }

  #topicIdsOf(member: Pick<ConsumerMember, "topicNames" | "topicRegex">): Set<TopicId> {
    const ids = new Set<TopicId>();
    const { topics } = this.#record;
    for (const name of member.topicNames) {
      const topic = Object.hasOwn(topics, name) ? topics[name] : undefined;
      if (topic !== undefined) ids.add(topic.topicId);
    }
    if (member.topicRegex === "") return ids;
    for (const [name, { topicId }] of Object.entries(topics)) {
      if (this.#matches(member.topicRegex, name)) ids.add(topicId);
    }
    return ids;
  }

  /** Kafka's: the one that most members ask for. */
  #assignor(): string {
    const votes = new Map<string, number>();
    for (const { assignor } of this.#members.values()) {
      if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1);
    }
    const [winner] = [...votes].sort(([, one], [, other]) => other - one);
    return winner?.[0] ?? DEFAULT_ASSIGNOR;
  }

  #reconcile(memberId: string, owned: Assignment | null): ConsumerMember {
    const member = this.#members.get(memberId);
    if (member === undefined) throw new Error(`member ${memberId} has been lost`);
    const next = reconcile(member, {
      targetEpoch: this.#record.assignmentEpoch,
      owned,
      isFree: (topicId, partition) => {
        const owner = this.#owners.of(topicId, partition);
        return owner === undefined || owner === memberId;
      },
    });
    if (next === member) return member;
    this.#put(next);
    this.#awaitRevocation(next);
    return next;
  }

  #awaitRevocation({ memberId, state, epoch, rebalanceTimeoutMs }: ConsumerMember): void {
    const timer = REVOKE_TIMER + memberId;
    if (state !== "unrevoked") {
      this.#revoking.delete(memberId);
      this.#context.timers.cancel(timer);
      return;
    }
    this.#revoking.set(memberId, epoch);
    this.#context.timers.set(timer, this.#context.clock.now() + rebalanceTimeoutMs);
  }

  // ── offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  commitProblem({ memberId, generation, knowsMemberEpochs }: CommitOffsetsRequest): Failure | undefined {
    if (generation < 0 && this.isEmpty) return undefined;
    const member = this.#members.get(memberId);
    if (member === undefined) return unknownMember(memberId, null);
    if (!knowsMemberEpochs) {
      return failure(
        "UNSUPPORTED_VERSION",
        "members of such a group commit with OffsetCommit version 9 or later",
      );
    }
    return this.#staleProblem(member, generation);
  }

  fetchProblem({ memberId, memberEpoch }: FetchOffsetsRequest): Failure | undefined {
    if (memberId === null && memberEpoch < 0) return undefined;
    const member = this.#members.get(memberId ?? "");
    return member === undefined
      ? unknownMember(memberId ?? "", null)
      : this.#staleProblem(member, memberEpoch);
  }

  #staleProblem({ epoch }: ConsumerMember, asked: number): Failure | undefined {
    if (asked === epoch) return undefined;
    return failure("STALE_MEMBER_EPOCH", `the member is at epoch ${epoch}, not ${asked}`);
  }

  get mayDeleteOffsets(): boolean {
    return true;
  }

  isSubscribedTo(topic: string): boolean {
    return [...this.#members.values()].some(
      ({ topicNames, topicRegex }) =>
        topicNames.includes(topic) || (topicRegex !== "" && this.#matches(topicRegex, topic)),
    );
  }

  get offsetsExpireFrom(): "commit" {
    return "commit";
  }

  // ── describing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  describe(): ConsumerGroupDescription {
    const { groupEpoch, assignmentEpoch, topics } = this.#record;
    const names = new Map(Object.entries(topics).map(([name, { topicId }]) => [topicId, name]));
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
      assignor: this.#assignor(),
      members: [...this.#members.values()].map((member) => ({
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
        type: "consumer",
      })),
    };
  }

  // ── members ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #put(member: ConsumerMember): void {
    const before = this.#members.get(member.memberId);
    if (before === member) return;
    if (before !== undefined) this.#owners.remove(before);
    this.#owners.add(member);
    this.#members.put(member);
    if (before?.topicNames !== member.topicNames || before.topicRegex !== member.topicRegex) {
      this.#subscriptions = undefined;
    }
  }

  #remove(member: ConsumerMember): void {
    const { memberId } = member;
    const known = this.#members.get(memberId);
    if (known !== undefined) this.#owners.remove(known);
    this.#members.delete(memberId);
    this.#subscriptions = undefined;
    this.#context.sessions.end(memberId);
    this.#revoking.delete(memberId);
    this.#context.timers.cancel(REVOKE_TIMER + memberId);
  }

  #matches(regex: string, topic: string): boolean {
    const pattern = this.#pattern(regex);
    return !isFailure(pattern) && pattern.matches(topic);
  }

  #pattern(regex: string): TopicPattern | Failure {
    const known = this.#patterns.get(regex);
    if (known !== undefined) return known;
    const pattern = topicPattern(regex);
    if (isFailure(pattern)) return pattern;
    if (this.#patterns.size >= this.#context.settings.membersMax) this.#patterns.clear();
    this.#patterns.set(regex, pattern);
    return pattern;
  }

  #change(changes: Partial<ConsumerRecord>): void {
    this.#record = { ...this.#record, ...changes };
    this.#isRecordChanged = true;
  }
}

const START_AGAIN = {
  epoch: JOIN_EPOCH,
  previousEpoch: JOIN_EPOCH,
  state: "stable",
  assigned: NOTHING,
  revoking: NOTHING,
} as const;

/** What the request says anew. */
function updated(member: ConsumerMember, request: ConsumerGroupHeartbeatRequest): ConsumerMember {
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
    one.topicRegex === other.topicRegex &&
    sameTexts(one.topicNames, other.topicNames)
  );
}

function sameTexts(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index]);
}

function sameTopics(one: ConsumerRecord["topics"], other: ConsumerRecord["topics"]): boolean {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every(
      (name) =>
        one[name]?.topicId === other[name]?.topicId && one[name]?.partitions === other[name]?.partitions,
    )
  );
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

function unknownMember(memberId: string, instanceId: string | null): Failure {
  return failure(
    "UNKNOWN_MEMBER_ID",
    instanceId === null
      ? `the group has no member ${JSON.stringify(memberId)}; join again`
      : `no member has the instance id ${JSON.stringify(instanceId)}; join again`,
  );
}
