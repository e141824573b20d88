/**
 * A group whose members assign the partitions among themselves (Kafka's classic protocol): JoinGroup gathers the members
 * of the next generation, SyncGroup hands out what their leader has decided.
 *
 *   Empty → PreparingRebalance → CompletingRebalance → Stable → PreparingRebalance → …
 *
 * What is stored: the state, the generation, the leader, the members and their assignments. Parked requests end with the
 * object; their members are told to come again, and find the group in the state where they left it, with all timeouts
 * begun anew.
 */

import { type ErrorName, type Failure, failure } from "../../../src/model/errors.ts";
import { GROUP_METADATA_BYTES_MAX, GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS } from "../../../src/model/limits.ts";
import { CONSUMER_PROTOCOL_TYPE, subscribedTopics } from "../consumer-protocol.ts";
import { Members } from "../members.ts";
import type {
  ClassicGroupDescription,
  CommitOffsetsRequest,
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResult,
  LeavingMember,
  LeftMember,
  SyncedGroup,
  SyncGroupRequest,
} from "../rpc.ts";
import { Sessions } from "../sessions.ts";
import type { GroupContext } from "../settings.ts";
import {
  type ClassicMember,
  classicMemberCodec,
  commonProtocols,
  electProtocol,
  metadataOf,
  NO_BYTES,
  sameBytes,
  sameProtocols,
} from "./classic-member.ts";
import { Parked } from "./parked.ts";

export type ClassicState = "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable";

/** What is stored of the group itself. */
export interface ClassicRecord {
  readonly type: "classic";
  readonly state: ClassicState;
  readonly stateSinceMs: number;
  readonly generation: number;
  /** null: the group has only ever held offsets. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string | null;
}

const JOIN_TIMER = "join";
const SYNC_TIMER = "sync";
const PENDING_TIMER = "pending ";

type Answer<T> = T | Promise<T>;

export class ClassicGroup {
  readonly type = "classic";
  readonly #context: GroupContext;
  readonly #members: Members<ClassicMember>;
  #record: ClassicRecord;
  #isRecordChanged = false;

  readonly #joins = new Parked<JoinGroupResult>((memberId) => refusal("REBALANCE_IN_PROGRESS", memberId));
  readonly #syncs = new Parked<SyncedGroup | Failure>(() => failure("REBALANCE_IN_PROGRESS"));
  /** Ids that were given out by MEMBER_ID_REQUIRED and have not come back yet. */
  readonly #pending = new Set<string>();
  /** Members that have not had an answer to a JoinGroup yet: they cannot heartbeat. */
  readonly #newcomers = new Set<string>();
  readonly #awaitingSync = new Set<string>();
  /** The first rebalance of an empty group waits for more members while they keep coming. */
  #initial: { readonly delayMs: number; readonly remainingMs: number; hasGrown: boolean } | undefined;

  constructor(context: GroupContext, record: ClassicRecord) {
    this.#context = context;
    this.#record = record;
    this.#members = new Members(context.store, classicMemberCodec);
  }

  static create(context: GroupContext): ClassicGroup {
    const group = new ClassicGroup(context, {
      type: "classic",
      state: "Empty",
      stateSinceMs: context.clock.now(),
      generation: 0,
      protocolType: null,
      protocolName: null,
      leader: null,
    });
    group.#isRecordChanged = true;
    return group;
  }

  /** A group that has a generation already, and whose members are told to join the next one. */
  static takingOver(
    context: GroupContext,
    generation: number,
    members: readonly ClassicMember[],
  ): ClassicGroup {
    const group = ClassicGroup.create(context);
    for (const member of members) {
      group.#members.put(member);
      context.sessions.heard(member.memberId, member.sessionTimeoutMs);
    }
    group.#change({
      generation,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocolName: electProtocol(members),
      leader: members[0]?.memberId ?? null,
    });
    group.#enter("Stable");
    group.#beginRebalance();
    return group;
  }

  /** The group goes over to another protocol: whoever waits is told to come again, and nothing of it is left. */
  dissolve(): void {
    for (const member of [...this.#members.values()]) {
      const again = failure("REBALANCE_IN_PROGRESS");
      this.#joins.answer(member.memberId, { ...again, memberId: member.memberId });
      this.#syncs.answer(member.memberId, again);
      this.#forget(member.memberId);
    }
    for (const memberId of [...this.#pending]) this.#forget(memberId);
    this.#context.timers.cancel(JOIN_TIMER);
    this.#context.timers.cancel(SYNC_TIMER);
    this.#members.flush();
  }

  /** The object has woken: members have their whole timeouts to come back. */
  restore(): void {
    for (const stored of this.#context.store.members()) {
      const member = this.#members.get(stored.memberId);
      if (member !== undefined) this.#context.sessions.restore(stored, member.sessionTimeoutMs);
    }
    if (this.state === "PreparingRebalance") this.#setTimer(JOIN_TIMER, this.#rebalanceTimeoutMs());
    if (this.state === "CompletingRebalance") this.#awaitSync();
  }

  get state(): ClassicState {
    return this.#record.state;
  }

  get isEmpty(): boolean {
    return this.#record.state === "Empty";
  }

  get generation(): number {
    return this.#record.generation;
  }

  get record(): ClassicRecord {
    return this.#record;
  }

  members(): IterableIterator<ClassicMember> {
    return this.#members.values();
  }

  /** Writes what has changed; inside the transaction of the change. */
  flush(): void {
    this.#members.flush();
    if (this.#isRecordChanged) this.#context.store.saveGroup(JSON.stringify(this.#record));
    this.#isRecordChanged = false;
  }

  // ── JoinGroup ──────────────────────────────────────────────────────────────────────────────────────────────────────

  join(request: JoinGroupRequest): Answer<JoinGroupResult> {
    const { memberId } = request;
    if (!this.#hasRoomFor(memberId)) {
      this.#remove(memberId);
      return refusal("GROUP_MAX_SIZE_REACHED", "", this.#fullMessage());
    }
    if (!this.#supports(request)) {
      return refusal(
        "INCONSISTENT_GROUP_PROTOCOL",
        memberId,
        `the group's members are of protocol type ${this.#record.protocolType}, and one protocol must be common to all of them`,
      );
    }
    return memberId === "" ? this.#joinNew(request) : this.#joinKnown(memberId, request);
  }

  #joinNew(request: JoinGroupRequest): Answer<JoinGroupResult> {
    const { instanceId, clientId } = request;
    const memberId = `${instanceId ?? clientId}-${this.#context.newId()}`;
    const replaced = this.#members.ofInstance(instanceId);
    if (replaced !== undefined) return this.#joinReplacing(replaced, memberId, request);
    if (instanceId !== null || !request.requiresKnownMemberId) return this.#joinAdding(memberId, request);
    if (this.#pending.size >= this.#context.settings.membersMax) {
      return refusal("GROUP_MAX_SIZE_REACHED", "", this.#fullMessage());
    }
    this.#pending.add(memberId);
    this.#setTimer(PENDING_TIMER + memberId, request.sessionTimeoutMs);
    return refusal("MEMBER_ID_REQUIRED", memberId, "join again with the member id that comes with this");
  }

  #joinKnown(memberId: string, request: JoinGroupRequest): Answer<JoinGroupResult> {
    if (this.#pending.has(memberId)) {
      if (request.instanceId === null) return this.#joinAdding(memberId, request);
      return refusal("INVALID_REQUEST", memberId, "a dynamic member cannot become a static one");
    }
    const problem = this.#memberProblem(memberId, request.instanceId);
    if (problem !== undefined) return { ...problem, memberId };
    const member = this.#members.get(memberId);
    if (member === undefined || this.isEmpty) return refusal("UNKNOWN_MEMBER_ID", memberId);
    const isUnchanged = sameProtocols(member.protocols, request.protocols);
    // The leader joins again to have the assignment made anew, for example because a topic has grown; a member that has
    // nothing new to say has only lost an answer.
    const hasLostAnswer =
      isUnchanged &&
      (this.state === "CompletingRebalance" || (this.state === "Stable" && this.#record.leader !== memberId));
    if (hasLostAnswer) {
      this.#context.sessions.heard(memberId, member.sessionTimeoutMs);
      return this.#joined(member);
    }
    const parked = this.#rejoin(member, request);
    this.#rebalanceOrGoOn();
    return parked;
  }

  #joinAdding(memberId: string, request: JoinGroupRequest): Answer<JoinGroupResult> {
    const { instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
    if (this.#metadataBytes() + bytesIn(request) > GROUP_METADATA_BYTES_MAX) {
      return refusal(
        "GROUP_MAX_SIZE_REACHED",
        "",
        `what the group's members say of themselves comes to more than ${GROUP_METADATA_BYTES_MAX} bytes`,
      );
    }
    if (this.#members.size === 0) this.#change({ protocolType: request.protocolType });
    this.#pending.delete(memberId);
    this.#context.timers.cancel(PENDING_TIMER + memberId);
    const member = {
      memberId,
      instanceId,
      clientId,
      clientHost,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocols,
      assignment: NO_BYTES,
    };
    this.#members.put(member);
    if (this.#record.leader === null) this.#change({ leader: memberId });
    if (this.#initial !== undefined) this.#initial.hasGrown = true;
    this.#newcomers.add(memberId);
    this.#context.sessions.heard(memberId, GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS);
    const parked = this.#joins.park(memberId);
    this.#rebalanceOrGoOn();
    return parked;
  }

  /** A static member has started again under a new member id. Unless the group's protocol changes, nobody else notices. */
  #joinReplacing(
    replaced: ClassicMember,
    memberId: string,
    request: JoinGroupRequest,
  ): Answer<JoinGroupResult> {
    const fenced = failure("FENCED_INSTANCE_ID", `instance ${replaced.instanceId} has joined as ${memberId}`);
    this.#joins.answer(replaced.memberId, { ...fenced, memberId: replaced.memberId });
    this.#syncs.answer(replaced.memberId, fenced);
    const wasLeader = this.#record.leader;
    const member = { ...replaced, memberId };
    this.#members.put(member);
    this.#forget(replaced.memberId);
    if (wasLeader === replaced.memberId) this.#change({ leader: memberId });
    const parked = this.#rejoin(member, request);
    if (this.state === "Stable" && electProtocol(this.#members.values()) === this.#record.protocolName) {
      const isLeader = this.#record.leader === memberId;
      const joined = this.#joined(this.#members.get(memberId) ?? member);
      this.#joins.answer(
        memberId,
        request.canSkipAssignment
          ? { ...joined, skipAssignment: isLeader }
          : // An old client must not take itself for the leader, or it would assign anew.
            { ...joined, leader: wasLeader ?? memberId, members: [] },
      );
      return parked;
    }
    if (this.state === "PreparingRebalance") this.#completeJoinIfAll();
    else this.#beginRebalance();
    return parked;
  }

  #rejoin(member: ClassicMember, request: JoinGroupRequest): Promise<JoinGroupResult> {
    const { memberId } = member;
    const { sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
    const isSame =
      member.sessionTimeoutMs === sessionTimeoutMs &&
      member.rebalanceTimeoutMs === rebalanceTimeoutMs &&
      sameProtocols(member.protocols, protocols);
    if (!isSame) this.#members.put({ ...member, sessionTimeoutMs, rebalanceTimeoutMs, protocols });
    this.#context.sessions.heard(memberId, sessionTimeoutMs);
    return this.#joins.park(memberId);
  }

  #rebalanceOrGoOn(): void {
    if (this.state === "PreparingRebalance") this.#completeJoinIfAll();
    else this.#beginRebalance();
  }

  #beginRebalance(): void {
    for (const memberId of this.#syncs.memberIds()) {
      this.#heard(memberId);
      this.#syncs.answer(memberId, failure("REBALANCE_IN_PROGRESS"));
    }
    this.#awaitingSync.clear();
    this.#context.timers.cancel(SYNC_TIMER);
    const isInitial = this.isEmpty;
    this.#enter("PreparingRebalance");
    if (!isInitial) {
      if (!this.#haveAllJoined()) this.#setTimer(JOIN_TIMER, this.#rebalanceTimeoutMs());
      this.#completeJoinIfAll();
      return;
    }
    const delayMs = this.#context.settings.initialRebalanceDelayMs;
    const remainingMs = Math.max(this.#rebalanceTimeoutMs() - delayMs, 0);
    this.#initial = { delayMs, remainingMs, hasGrown: false };
    if (delayMs > 0) this.#setTimer(JOIN_TIMER, delayMs);
    else this.#completeJoin();
  }

  #haveAllJoined(): boolean {
    return this.#joins.size === this.#members.size && this.#pending.size === 0;
  }

  #completeJoinIfAll(): void {
    const isWaitingForMore = this.#initial !== undefined;
    if (this.state === "PreparingRebalance" && !isWaitingForMore && this.#haveAllJoined()) {
      this.#completeJoin();
    }
  }

  #joinTimeIsUp(): void {
    if (this.state !== "PreparingRebalance") return;
    const initial = this.#initial;
    if (initial === undefined || !initial.hasGrown || initial.remainingMs === 0) {
      this.#completeJoin();
      return;
    }
    const delayMs = Math.min(this.#context.settings.initialRebalanceDelayMs, initial.remainingMs);
    const remainingMs = Math.max(initial.remainingMs - initial.delayMs, 0);
    this.#initial = { delayMs, remainingMs, hasGrown: false };
    this.#setTimer(JOIN_TIMER, delayMs);
  }

  /** The next generation is of those who have joined, and of static members who may be back soon. */
  #completeJoin(): void {
    this.#context.timers.cancel(JOIN_TIMER);
    for (const { memberId, instanceId } of [...this.#members.values()]) {
      if (!this.#joins.has(memberId) && instanceId === null) this.#remove(memberId);
    }
    if (this.#members.size > 0 && !this.#electLeader()) {
      // Only static members are left, and none of them is back: until their sessions end.
      this.#initial = undefined;
      this.#setTimer(JOIN_TIMER, this.#rebalanceTimeoutMs());
      return;
    }
    this.#initial = undefined;
    this.#change({ generation: this.#record.generation + 1 });
    if (this.#members.size === 0) {
      this.#change({ protocolName: null, leader: null });
      this.#enter("Empty");
      return;
    }
    this.#change({ protocolName: electProtocol(this.#members.values()) });
    this.#enter("CompletingRebalance");
    for (const member of this.#members.values()) {
      this.#newcomers.delete(member.memberId);
      this.#context.sessions.heard(member.memberId, member.sessionTimeoutMs);
      this.#joins.answer(member.memberId, this.#joined(member));
    }
    this.#awaitSync();
  }

  /** False if nobody has joined. */
  #electLeader(): boolean {
    if (this.#record.leader !== null && this.#joins.has(this.#record.leader)) return true;
    for (const { memberId } of this.#members.values()) {
      if (!this.#joins.has(memberId)) continue;
      this.#change({ leader: memberId });
      return true;
    }
    return false;
  }

  #joined({ memberId }: ClassicMember): Exclude<JoinGroupResult, Failure> {
    const { generation, protocolType, protocolName, leader } = this.#record;
    const members =
      leader === memberId
        ? [...this.#members.values()].map((member) => ({
            memberId: member.memberId,
            instanceId: member.instanceId,
            metadata: metadataOf(member, protocolName),
          }))
        : [];
    return {
      memberId,
      generation,
      protocolType: protocolType ?? "",
      protocolName: protocolName ?? "",
      leader: leader ?? "",
      skipAssignment: false,
      members,
    };
  }

  // ── SyncGroup ──────────────────────────────────────────────────────────────────────────────────────────────────────

  sync(request: SyncGroupRequest): Answer<SyncedGroup | Failure> {
    const { memberId, assignments } = request;
    const problem = this.#syncProblem(request);
    const member = this.#members.get(memberId);
    if (problem !== undefined || member === undefined) return problem ?? failure("UNKNOWN_MEMBER_ID");
    if (this.state === "PreparingRebalance") return failure("REBALANCE_IN_PROGRESS");
    this.#awaitingSync.delete(memberId);
    this.#context.sessions.heard(memberId, member.sessionTimeoutMs);
    if (this.state === "Stable") return this.#synced(member);
    const parked = this.#syncs.park(memberId);
    if (this.#record.leader === memberId) {
      this.#assign(new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment])));
    }
    return parked;
  }

  #syncProblem({ memberId, instanceId, generation, protocolType, protocolName }: SyncGroupRequest) {
    const problem = this.#memberProblem(memberId, instanceId) ?? this.#generationProblem(generation);
    if (problem !== undefined) return problem;
    const { protocolType: type, protocolName: name } = this.#record;
    const isOther = (asked: string | null, known: string | null) =>
      asked !== null && known !== null && asked !== known;
    if (!isOther(protocolType, type) && !isOther(protocolName, name)) return undefined;
    return failure("INCONSISTENT_GROUP_PROTOCOL", `the group has chosen ${type}, ${name}`);
  }

  #assign(assignments: ReadonlyMap<string, Uint8Array>): void {
    for (const member of [...this.#members.values()]) {
      const assignment = assignments.get(member.memberId) ?? NO_BYTES;
      if (!sameBytes(assignment, member.assignment)) this.#members.put({ ...member, assignment });
    }
    this.#enter("Stable");
    for (const member of this.#members.values()) {
      if (!this.#syncs.has(member.memberId)) continue;
      this.#context.sessions.heard(member.memberId, member.sessionTimeoutMs);
      this.#syncs.answer(member.memberId, this.#synced(member));
    }
  }

  #synced({ assignment }: ClassicMember): SyncedGroup {
    const { protocolType, protocolName } = this.#record;
    return { protocolType: protocolType ?? "", protocolName: protocolName ?? "", assignment };
  }

  #awaitSync(): void {
    for (const { memberId } of this.#members.values()) this.#awaitingSync.add(memberId);
    this.#setTimer(SYNC_TIMER, this.#rebalanceTimeoutMs());
  }

  #syncTimeIsUp(): void {
    const isOpen = this.state === "CompletingRebalance" || this.state === "Stable";
    if (!isOpen || this.#awaitingSync.size === 0) return;
    for (const memberId of [...this.#awaitingSync]) this.#remove(memberId);
    this.#beginRebalance();
  }

  // ── Heartbeat, LeaveGroup ──────────────────────────────────────────────────────────────────────────────────────────

  heartbeat({ memberId, instanceId, generation }: HeartbeatRequest): Failure | null {
    const problem = this.#memberProblem(memberId, instanceId) ?? this.#generationProblem(generation);
    if (problem !== undefined) return problem;
    this.#heard(memberId);
    return this.state === "PreparingRebalance" ? failure("REBALANCE_IN_PROGRESS") : null;
  }

  leave(leaving: readonly LeavingMember[]): LeftMember[] {
    const before = this.#members.size;
    const left = leaving.map((member) => ({ ...member, error: this.#leaveOne(member) }));
    this.#afterRemoval(this.#members.size < before);
    return left;
  }

  #leaveOne({ memberId, instanceId }: LeavingMember): ErrorName | null {
    if (memberId === "") {
      const member = this.#members.ofInstance(instanceId);
      if (member === undefined) return "UNKNOWN_MEMBER_ID";
      this.#remove(member.memberId);
      return null;
    }
    const problem = this.#pending.has(memberId) ? undefined : this.#memberProblem(memberId, instanceId);
    if (problem === undefined) this.#remove(memberId);
    return problem?.error ?? null;
  }

  #afterRemoval(wasMember: boolean): void {
    if (this.state === "PreparingRebalance") this.#completeJoinIfAll();
    else if (wasMember && !this.isEmpty) this.#beginRebalance();
  }

  /** Whoever waits for an answer gets one, so that a client that is alive joins again. */
  #remove(memberId: string): void {
    const gone = failure("UNKNOWN_MEMBER_ID", `member ${memberId} has left the group`);
    this.#joins.answer(memberId, { ...gone, memberId: "" });
    this.#syncs.answer(memberId, gone);
    this.#forget(memberId);
    if (this.#record.leader !== memberId) return;
    const [first] = this.#members.values();
    this.#change({ leader: first?.memberId ?? null });
  }

  #forget(memberId: string): void {
    this.#members.delete(memberId);
    this.#context.sessions.end(memberId);
    this.#newcomers.delete(memberId);
    this.#awaitingSync.delete(memberId);
    this.#pending.delete(memberId);
    this.#context.timers.cancel(PENDING_TIMER + memberId);
  }

  // ── timers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  timeIsUp(timer: string): void {
    const memberId = Sessions.memberOf(timer);
    if (timer === JOIN_TIMER) this.#joinTimeIsUp();
    else if (timer === SYNC_TIMER) this.#syncTimeIsUp();
    else if (timer.startsWith(PENDING_TIMER)) this.#expire(timer.slice(PENDING_TIMER.length));
    else if (memberId !== undefined && !this.#isWaiting(memberId)) this.#expire(memberId);
  }

  /** Who waits for an answer cannot heartbeat; the session goes on when it has got one. */
  #isWaiting(memberId: string): boolean {
    const isParked = this.#joins.has(memberId) || this.#syncs.has(memberId);
    return isParked && !this.#newcomers.has(memberId);
  }

  #expire(memberId: string): void {
    const wasMember = this.#members.has(memberId);
    this.#remove(memberId);
    this.#afterRemoval(wasMember);
  }

  #setTimer(timer: string, inMs: number): void {
    this.#context.timers.set(timer, this.#context.clock.now() + inMs);
  }

  // ── offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Why these offsets must not be committed; a member that commits has been heard. */
  commitProblem({ memberId, instanceId, generation }: CommitOffsetsRequest): Failure | undefined {
    if (generation < 0 && this.isEmpty) return undefined;
    if (generation < 0 && memberId === "" && instanceId === null) {
      return failure(
        "UNKNOWN_MEMBER_ID",
        "the group has members: only they commit offsets, or everyone once it is empty",
      );
    }
    const problem = this.#memberProblem(memberId, instanceId) ?? this.#generationProblem(generation);
    if (problem !== undefined) return problem;
    if (this.state === "CompletingRebalance") return failure("REBALANCE_IN_PROGRESS");
    this.#heard(memberId);
    return undefined;
  }

  fetchProblem(): Failure | undefined {
    return undefined;
  }

  get mayDeleteOffsets(): boolean {
    return this.isEmpty || this.#isOfConsumers;
  }

  isSubscribedTo(topic: string): boolean {
    if (!this.#isOfConsumers) return false;
    const { protocolName } = this.#record;
    return [...this.#members.values()].some((member) => {
      const topics = subscribedTopics(metadataOf(member, protocolName));
      return topics === undefined || topics.includes(topic);
    });
  }

  /** From when the retention of offsets counts: "commit", or a time in ms; undefined: they do not expire now. */
  get offsetsExpireFrom(): number | "commit" | undefined {
    if (this.#record.protocolType === null) return "commit";
    if (this.isEmpty) return this.#record.stateSinceMs;
    return this.#isOfConsumers && this.state === "Stable" ? "commit" : undefined;
  }

  get #isOfConsumers(): boolean {
    return this.#record.protocolType === CONSUMER_PROTOCOL_TYPE;
  }

  // ── describing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  describe(): ClassicGroupDescription {
    const { state, generation, protocolType, protocolName } = this.#record;
    const isStable = state === "Stable";
    return {
      type: "classic",
      state,
      generation,
      protocolType: protocolType ?? "",
      protocolName: isStable ? (protocolName ?? "") : "",
      members: [...this.#members.values()].map((member) => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        metadata: isStable ? metadataOf(member, protocolName) : NO_BYTES,
        assignment: isStable ? member.assignment : NO_BYTES,
      })),
    };
  }

  // ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** While members join, those count that have: the last to come back to a group that is too large are left out. */
  #hasRoomFor(memberId: string): boolean {
    const { membersMax } = this.#context.settings;
    if (this.isEmpty) return true;
    if (this.state === "PreparingRebalance")
      return this.#joins.has(memberId) || this.#joins.size < membersMax;
    return this.#members.has(memberId) || this.#members.size < membersMax;
  }

  #supports({ protocolType, protocols }: JoinGroupRequest): boolean {
    if (protocolType === "" || protocols.length === 0) return false;
    if (this.isEmpty || this.#members.size === 0) return true;
    if (this.#record.protocolType !== protocolType) return false;
    const common = commonProtocols(this.#members.values());
    return protocols.some(({ name }) => common.has(name));
  }

  #memberProblem(memberId: string, instanceId: string | null): Failure | undefined {
    if (instanceId !== null) {
      const owner = this.#members.ofInstance(instanceId);
      if (owner === undefined)
        return failure("UNKNOWN_MEMBER_ID", `no member has the instance id ${instanceId}`);
      if (owner.memberId !== memberId) {
        return failure("FENCED_INSTANCE_ID", `instance ${instanceId} is member ${owner.memberId} now`);
      }
    }
    if (this.#members.has(memberId)) return undefined;
    return failure("UNKNOWN_MEMBER_ID", `the group has no member ${JSON.stringify(memberId)}; join again`);
  }

  #generationProblem(generation: number): Failure | undefined {
    if (generation === this.#record.generation) return undefined;
    return failure(
      "ILLEGAL_GENERATION",
      `generation ${generation} is not the group's, which is ${this.#record.generation}`,
    );
  }

  #fullMessage(): string {
    return `the group has ${this.#context.settings.membersMax} members, the most that it can have`;
  }

  #metadataBytes(): number {
    let bytes = 0;
    for (const member of this.#members.values()) bytes += bytesIn(member);
    return bytes;
  }

  #rebalanceTimeoutMs(): number {
    let most = 0;
    for (const { rebalanceTimeoutMs } of this.#members.values()) most = Math.max(most, rebalanceTimeoutMs);
    return most;
  }

  #heard(memberId: string): void {
    const member = this.#members.get(memberId);
    if (member !== undefined) this.#context.sessions.heard(memberId, member.sessionTimeoutMs);
  }

  #enter(state: ClassicState): void {
    this.#change({ state, stateSinceMs: this.#context.clock.now() });
  }

  #change(changes: Partial<ClassicRecord>): void {
    this.#record = { ...this.#record, ...changes };
    this.#isRecordChanged = true;
  }
}

function bytesIn({ protocols }: Pick<ClassicMember, "protocols">): number {
  return protocols.reduce((bytes, { metadata }) => bytes + metadata.length, 0);
}

function refusal(error: ErrorName, memberId: string, message?: string): JoinGroupResult {
  return { ...failure(error, message), memberId };
}
