/**
 * The members of a group whose partitions are assigned here, and what each is to have.
 *
 * Three epochs: the *group epoch* rises whenever members, subscriptions or topics change; the *assignment epoch* is the group
 * epoch that the targets were made for; a *member epoch* is the assignment epoch that a member has come to.
 *
 * All of it is stored; when the object wakes, members have their timeouts anew.
 */

import { type Failure, isFailure } from "../../../src/model/errors.ts";
import type { TopicId } from "../../../src/model/ids.ts";
import { type NamePattern, namePattern } from "../../../src/model/name-pattern.ts";
import { Members } from "../members.ts";
import { type ConsumerGroupHeartbeatRequest, LEAVE_STATIC_EPOCH } from "../rpc.ts";
import type { GroupContext } from "../settings.ts";
import type { PartitionKey } from "../transactional-offsets.ts";
import { type Assignment, NOTHING, sameAssignment } from "./assignment.ts";
import { ASSIGNORS, DEFAULT_ASSIGNOR } from "./assignors.ts";
import { type ConsumerMember, consumerMemberCodec } from "./consumer-member.ts";
import { type GroupTopics, groupTopics, groupTopicsProblem, sameGroupTopics } from "./group-topics.ts";
import { PartitionOwners } from "./partition-owners.ts";
import { reconcile } from "./reconcile.ts";
import type { Subscriptions, TopicSnapshot } from "./topic-directory.ts";

/** What is stored of the group itself. */
export interface ConsumerRecord {
  readonly type: "consumer";
  readonly groupEpoch: number;
  readonly assignmentEpoch: number;
  /** Those that exist of the topics subscribed to, by name, as the group epoch knows them. */
  readonly topics: GroupTopics;
}

/** What a request may say anew of a member's subscription. */
export type NewSubscription = Pick<
  ConsumerGroupHeartbeatRequest,
  "subscribedTopicNames" | "subscribedTopicRegex"
>;

const REVOKE_TIMER = "revoke ";

export class Membership {
  readonly #context: GroupContext;
  readonly #members: Members<ConsumerMember>;
  readonly #owners = new PartitionOwners();
  readonly #patterns = new Map<string, NamePattern>();
  /** Of all members together; undefined: to be gathered anew. */
  #subscriptions: Subscriptions | undefined;
  #record: ConsumerRecord;
  #isRecordChanged = false;
  /** Rises with every change of a member or of the record. */
  #revision = 0;
  /** The version of the topics that the record knows. */
  #topicsVersion: number | undefined;
  /** Epochs of the members that a revocation is awaited of. */
  readonly #revoking = new Map<string, number>();

  constructor(context: GroupContext, record: ConsumerRecord) {
    this.#context = context;
    this.#record = record;
    this.#members = new Members(context.store, consumerMemberCodec);
    for (const member of this.#members.values()) this.#owners.put(member, undefined);
  }

  /** The object has woken. */
  restore(): void {
    for (const stored of this.#context.store.members()) {
      const member = this.#members.get(stored.memberId);
      if (member === undefined) continue;
      const isConnected = this.#context.isConnected(member.memberId);
      this.#context.sessions.restore(stored, isConnected ? null : this.sessionTimeoutMs(member));
      this.#awaitRevocation(member);
    }
  }

  get record(): ConsumerRecord {
    return this.#record;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Of the topics that the record knows, by their ids. */
  topicNames(): Map<TopicId, string> {
    return new Map(Object.entries(this.#record.topics).map(([name, { topicId }]) => [topicId, name]));
  }

  get size(): number {
    return this.#members.size;
  }

  get(memberId: string): ConsumerMember | undefined {
    return this.#members.get(memberId);
  }

  ofInstance(instanceId: string | null): ConsumerMember | undefined {
    return this.#members.ofInstance(instanceId);
  }

  values(): IterableIterator<ConsumerMember> {
    return this.#members.values();
  }

  ownerOf(topicId: TopicId, partition: number): string | undefined {
    return this.#owners.of(topicId, partition);
  }

  /** Whether the member had all of these at this epoch, and nobody else has had one of them since. */
  hasHadSince(epoch: number, memberId: string, partitions: readonly PartitionKey[]): boolean {
    return partitions.every(({ topicId, partition }) =>
      this.#owners.hasHadSince(epoch, memberId, topicId, partition),
    );
  }

  /** Writes what has changed; inside the transaction of the change. */
  flush(): void {
    this.#members.flush();
    if (this.#isRecordChanged) this.#context.store.saveGroup(JSON.stringify(this.#record));
    this.#isRecordChanged = false;
  }

  change(changes: Partial<ConsumerRecord>): void {
    this.#record = { ...this.#record, ...changes };
    this.#isRecordChanged = true;
    this.#revision++;
  }

  // ── members ────────────────────────────────────────────────────────────────────────────────────────────────────────

  put(member: ConsumerMember): void {
    const before = this.#members.get(member.memberId);
    if (before === member) return;
    this.#owners.put(member, before);
    this.#members.put(member);
    this.#revision++;
    if (before?.topicNames !== member.topicNames || before.topicRegex !== member.topicRegex) {
      this.#subscriptions = undefined;
    }
  }

  remove(member: ConsumerMember): void {
    const { memberId } = member;
    const known = this.#members.get(memberId);
    if (known !== undefined) this.#owners.remove(known);
    this.#members.delete(memberId);
    this.#revision++;
    this.#subscriptions = undefined;
    this.#context.sessions.end(memberId);
    this.#revoking.delete(memberId);
    this.#context.timers.cancel(REVOKE_TIMER + memberId);
  }

  matches(regex: string, topic: string): boolean {
    const pattern = this.#pattern(regex);
    return !isFailure(pattern) && pattern.matches(topic);
  }

  #pattern(regex: string): NamePattern | Failure {
    const known = this.#patterns.get(regex);
    if (known !== undefined) return known;
    const pattern = namePattern(regex);
    if (isFailure(pattern)) return pattern;
    if (this.#patterns.size >= this.#context.settings.membersMax) this.#patterns.clear();
    this.#patterns.set(regex, pattern);
    return pattern;
  }

  /** The member is gone, and the others are to be assigned anew. */
  fence(member: ConsumerMember): void {
    this.remove(member);
    this.change({ groupEpoch: this.#record.groupEpoch + 1 });
  }

  fenceById(memberId: string): void {
    const member = this.#members.get(memberId);
    if (member !== undefined) this.fence(member);
  }

  heard(member: ConsumerMember, timeoutMs = this.sessionTimeoutMs(member)): void {
    const { memberId } = member;
    if (this.#context.isConnected(memberId)) this.#context.sessions.present(memberId);
    else this.#context.sessions.heard(memberId, timeoutMs);
  }

  sessionTimeoutMs({ classic, native, epoch }: ConsumerMember): number {
    const { consumerSessionTimeoutMs, socketGraceMs } = this.#context.settings;
    if (classic !== null) return classic.sessionTimeoutMs;
    if (native?.type === "poll") return native.sessionTimeoutMs;
    // A static member that has left is expected back.
    return native === null || epoch === LEAVE_STATIC_EPOCH ? consumerSessionTimeoutMs : socketGraceMs;
  }

  /** True if the timer was one of these. */
  timeIsUp(timer: string): boolean {
    if (!timer.startsWith(REVOKE_TIMER)) return false;
    const memberId = timer.slice(REVOKE_TIMER.length);
    // It has been told to give something up, and has not said for its rebalance timeout that it has.
    if (this.#members.get(memberId)?.epoch === this.#revoking.get(memberId)) this.fenceById(memberId);
    return true;
  }

  // ── subscriptions ──────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * What must be known of topics before such a request can be worked on; INVALID_REGULAR_EXPRESSION. As in Kafka, a
   * member that names topics beside a new pattern does not wait for the look at all topics that this takes: what the
   * pattern matches comes with its next heartbeat, which follows as soon as it has taken the first partitions.
   */
  subscriptionsWith({
    subscribedTopicNames,
    subscribedTopicRegex,
  }: NewSubscription): Subscriptions | Failure {
    const known = this.#allSubscriptions();
    const names = subscribedTopicNames ?? [];
    const newNames = names.filter((name) => !known.names.has(name));
    const regex = subscribedTopicRegex ?? "";
    const pattern = this.#pattern(regex);
    if (isFailure(pattern)) return pattern;
    const isAwaited = regex !== "" && names.length === 0 && !known.patterns.has(regex);
    if (newNames.length === 0 && !isAwaited) return known;
    const patterns = isAwaited ? new Map([...known.patterns, [regex, pattern]]) : known.patterns;
    return { names: new Set([...known.names, ...newNames]), patterns };
  }

  #allSubscriptions(): Subscriptions {
    if (this.#subscriptions !== undefined) return this.#subscriptions;
    const names = new Set<string>();
    const patterns = new Map<string, NamePattern>();
    for (const { topicNames, topicRegex } of this.#members.values()) {
      for (const name of topicNames) names.add(name);
      const pattern = topicRegex === "" ? undefined : this.#pattern(topicRegex);
      if (pattern !== undefined && !isFailure(pattern)) patterns.set(topicRegex, pattern);
    }
    this.#subscriptions = { names, patterns };
    return this.#subscriptions;
  }

  // ── assigning ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The group and its targets, after members or topics have changed. */
  catchUp(hasNewSubscription: boolean, topics: TopicSnapshot | undefined): void {
    let hasChanged = hasNewSubscription;
    const isBehind = hasChanged || this.#record.groupEpoch > this.#record.assignmentEpoch;
    // What the members are subscribed to now is still to be held against the topics, though these may not have changed.
    if (topics === undefined && isBehind) this.#topicsVersion = undefined;
    if (topics !== undefined && (isBehind || topics.version !== this.#topicsVersion)) {
      const known = groupTopics(this.#subscribedNames(topics), topics);
      const tooMuch = groupTopicsProblem(known);
      const isWhole = [...this.#allSubscriptions().patterns.keys()].every((regex) => topics.covers(regex));
      this.#topicsVersion = isWhole ? topics.version : undefined;
      // Topics have come or grown: the members keep what they have.
      if (tooMuch !== undefined) console.warn("new topics are left out:", tooMuch.message);
      else if (!sameGroupTopics(known, this.#record.topics)) {
        this.change({ topics: known });
        hasChanged = true;
      }
    }
    if (hasChanged) this.change({ groupEpoch: this.#record.groupEpoch + 1 });
    if (this.#record.groupEpoch > this.#record.assignmentEpoch) this.#assign();
  }

  /** A new subscription may bring more than one group can have. */
  topicsProblem(
    { subscribedTopicNames, subscribedTopicRegex }: NewSubscription,
    topics: TopicSnapshot,
  ): Failure | undefined {
    if (subscribedTopicNames === null && subscribedTopicRegex === null) return undefined;
    const names = this.#subscribedNames(topics);
    for (const name of subscribedTopicNames ?? []) names.add(name);
    for (const name of topics.matching(subscribedTopicRegex ?? "")) names.add(name);
    return groupTopicsProblem(groupTopics(names, topics));
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
    const targets = ASSIGNORS.get(this.assignor())?.(assignable, partitions);
    for (const member of members) {
      const target = targets?.get(member.memberId) ?? NOTHING;
      if (!sameAssignment(target, member.target)) this.put({ ...member, target });
    }
    this.change({ assignmentEpoch: this.#record.groupEpoch });
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
      if (this.matches(member.topicRegex, name)) ids.add(topicId);
    }
    return ids;
  }

  /** Kafka's: the one that most members ask for. */
  assignor(): string {
    const votes = new Map<string, number>();
    for (const { assignor } of this.#members.values()) {
      if (assignor !== null) votes.set(assignor, (votes.get(assignor) ?? 0) + 1);
    }
    const [winner] = [...votes].sort(([, one], [, other]) => other - one);
    return winner?.[0] ?? DEFAULT_ASSIGNOR;
  }

  reconcile(memberId: string, owned: Assignment | null): ConsumerMember {
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
    this.put(next);
    this.#awaitRevocation(next);
    return next;
  }

  /** Members of the classic protocol have their own way of being late: see classic-face.ts. */
  #awaitRevocation({ memberId, state, epoch, rebalanceTimeoutMs, classic }: ConsumerMember): void {
    const timer = REVOKE_TIMER + memberId;
    if (state !== "unrevoked" || classic !== null) {
      this.#revoking.delete(memberId);
      this.#context.timers.cancel(timer);
      return;
    }
    this.#revoking.set(memberId, epoch);
    this.#context.timers.set(timer, this.#context.clock.now() + rebalanceTimeoutMs);
  }
}
