/**
 * A group whose members assign the partitions among themselves (Kafka's classic protocol): JoinGroup gathers the members
 * of the next generation, SyncGroup hands out what their leader has decided. Who may ask for what is decided here, how the
 * group gets to its next generation in rebalance.ts.
 *
 * What is stored: the state, the generation, the leader, the members and their assignments. Parked requests end with the
 * object; their members are told to come again, and find the group in the state where they left it, with all timeouts
 * begun anew.
 */

import { type ErrorName, type Failure, failure } from "../../../src/model/errors.ts";
import { GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS } from "../../../src/model/limits.ts";
import { CONSUMER_PROTOCOL_TYPE } from "../consumer-protocol.ts";
import type { Committer } from "../group-offsets.ts";
import type {
  ClassicGroupDescription,
  GroupSummary,
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
import { type ClassicMember, electProtocol, NO_BYTES, sameProtocols } from "./classic-member.ts";
import {
  type ClassicRecord,
  ClassicRoster,
  type ClassicState,
  PENDING_TIMER,
  refusal,
} from "./classic-roster.ts";
import { Rebalance } from "./rebalance.ts";

type Answer<T> = T | Promise<T>;

export class ClassicGroup {
  readonly type = "classic";
  readonly #context: GroupContext;
  readonly #roster: ClassicRoster;
  readonly #rebalance: Rebalance;

  constructor(context: GroupContext, record: ClassicRecord) {
    this.#context = context;
    this.#roster = new ClassicRoster(context, record);
    this.#rebalance = new Rebalance(context, this.#roster);
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
    group.#roster.change({});
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
      group.#roster.members.put(member);
      context.sessions.heard(member.memberId, member.sessionTimeoutMs);
    }
    group.#roster.change({
      generation,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocolName: electProtocol(members),
      leader: members[0]?.memberId ?? null,
    });
    group.#roster.enter("Stable");
    group.#rebalance.begin();
    return group;
  }

  /** The group goes over to another protocol: whoever waits is told to come again, and nothing of it is left. */
  dissolve(): void {
    for (const member of [...this.#roster.members.values()]) {
      const again = failure("REBALANCE_IN_PROGRESS");
      this.#roster.joins.answer(member.memberId, { ...again, memberId: member.memberId });
      this.#roster.syncs.answer(member.memberId, again);
      this.#roster.forget(member.memberId);
    }
    for (const memberId of [...this.#roster.pending]) this.#roster.forget(memberId);
    this.#rebalance.abandon();
    this.#roster.members.flush();
  }

  /** The object has woken: members have their whole timeouts to come back. */
  restore(): void {
    for (const stored of this.#context.store.members()) {
      const member = this.#roster.members.get(stored.memberId);
      if (member !== undefined) this.#context.sessions.restore(stored, member.sessionTimeoutMs);
    }
    this.#rebalance.restore();
  }

  get state(): ClassicState {
    return this.#roster.record.state;
  }

  get isEmpty(): boolean {
    return this.#roster.record.state === "Empty";
  }

  get generation(): number {
    return this.#roster.record.generation;
  }

  get record(): ClassicRecord {
    return this.#roster.record;
  }

  get size(): number {
    return this.#roster.members.size;
  }

  members(): IterableIterator<ClassicMember> {
    return this.#roster.members.values();
  }

  /** Writes what has changed; inside the transaction of the change. */
  flush(): void {
    this.#roster.flush();
  }

  // ── JoinGroup ──────────────────────────────────────────────────────────────────────────────────────────────────────

  join(request: JoinGroupRequest): Answer<JoinGroupResult> {
    const { memberId } = request;
    if (!this.#roster.hasRoomFor(memberId)) {
      this.#roster.remove(memberId);
      return refusal("GROUP_MAX_SIZE_REACHED", "", this.#roster.fullMessage());
    }
    if (!this.#roster.supports(request)) {
      return refusal(
        "INCONSISTENT_GROUP_PROTOCOL",
        memberId,
        `the group's members are of protocol type ${this.#roster.record.protocolType}, and one protocol must be common to all of them`,
      );
    }
    return memberId === "" ? this.#joinNew(request) : this.#joinKnown(memberId, request);
  }

  #joinNew(request: JoinGroupRequest): Answer<JoinGroupResult> {
    const { instanceId, clientId } = request;
    const memberId = `${instanceId ?? clientId}-${this.#context.newId()}`;
    const replaced = this.#roster.members.ofInstance(instanceId);
    if (replaced !== undefined) return this.#joinReplacing(replaced, memberId, request);
    if (instanceId !== null || !request.requiresKnownMemberId) return this.#joinAdding(memberId, request);
    if (this.#roster.pending.size >= this.#context.settings.membersMax) {
      return refusal("GROUP_MAX_SIZE_REACHED", "", this.#roster.fullMessage());
    }
    this.#roster.pending.add(memberId);
    this.#context.timers.set(PENDING_TIMER + memberId, this.#context.clock.now() + request.sessionTimeoutMs);
    return refusal("MEMBER_ID_REQUIRED", memberId, "join again with the member id that comes with this");
  }

  #joinKnown(memberId: string, request: JoinGroupRequest): Answer<JoinGroupResult> {
    if (this.#roster.pending.has(memberId)) {
      if (request.instanceId === null) return this.#joinAdding(memberId, request);
      return refusal("INVALID_REQUEST", memberId, "a dynamic member cannot become a static one");
    }
    const problem = this.#roster.memberProblem(memberId, request.instanceId);
    if (problem !== undefined) return { ...problem, memberId };
    const member = this.#roster.members.get(memberId);
    if (member === undefined || this.isEmpty) return refusal("UNKNOWN_MEMBER_ID", memberId);
    const isUnchanged = sameProtocols(member.protocols, request.protocols);
    // The leader joins again to have the assignment made anew, for example because a topic has grown; a member that has
    // nothing new to say has only lost an answer.
    const hasLostAnswer =
      isUnchanged &&
      (this.state === "CompletingRebalance" ||
        (this.state === "Stable" && this.#roster.record.leader !== memberId));
    if (hasLostAnswer) {
      this.#context.sessions.heard(memberId, member.sessionTimeoutMs);
      return this.#rebalance.joined(member);
    }
    const parked = this.#rejoin(member, request);
    this.#rebalance.beginOrGoOn();
    return parked;
  }

  #joinAdding(memberId: string, request: JoinGroupRequest): Answer<JoinGroupResult> {
    const { instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
    const tooMuch = this.#roster.metadataProblem(request);
    if (tooMuch !== undefined) return { ...tooMuch, memberId: "" };
    if (this.#roster.members.size === 0) this.#roster.change({ protocolType: request.protocolType });
    this.#roster.pending.delete(memberId);
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
    this.#roster.members.put(member);
    if (this.#roster.record.leader === null) this.#roster.change({ leader: memberId });
    this.#rebalance.grown();
    this.#roster.newcomers.add(memberId);
    this.#context.sessions.heard(memberId, GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS);
    const parked = this.#roster.joins.park(memberId);
    this.#rebalance.beginOrGoOn();
    return parked;
  }

  /** A static member has started again under a new member id. Unless the group's protocol changes, nobody else notices. */
  #joinReplacing(
    replaced: ClassicMember,
    memberId: string,
    request: JoinGroupRequest,
  ): Answer<JoinGroupResult> {
    const fenced = failure("FENCED_INSTANCE_ID", `instance ${replaced.instanceId} has joined as ${memberId}`);
    this.#roster.joins.answer(replaced.memberId, { ...fenced, memberId: replaced.memberId });
    this.#roster.syncs.answer(replaced.memberId, fenced);
    const wasLeader = this.#roster.record.leader;
    const member = { ...replaced, memberId };
    this.#roster.members.put(member);
    this.#roster.forget(replaced.memberId);
    if (wasLeader === replaced.memberId) this.#roster.change({ leader: memberId });
    const parked = this.#rejoin(member, request);
    if (
      this.state === "Stable" &&
      electProtocol(this.#roster.members.values()) === this.#roster.record.protocolName
    ) {
      const isLeader = this.#roster.record.leader === memberId;
      const joined = this.#rebalance.joined(this.#roster.members.get(memberId) ?? member);
      this.#roster.joins.answer(
        memberId,
        request.canSkipAssignment
          ? { ...joined, skipAssignment: isLeader }
          : // An old client must not take itself for the leader, or it would assign anew.
            { ...joined, leader: wasLeader ?? memberId, members: [] },
      );
      return parked;
    }
    this.#rebalance.beginOrGoOn();
    return parked;
  }

  #rejoin(member: ClassicMember, request: JoinGroupRequest): Promise<JoinGroupResult> {
    const { memberId } = member;
    const { sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
    const isSame =
      member.sessionTimeoutMs === sessionTimeoutMs &&
      member.rebalanceTimeoutMs === rebalanceTimeoutMs &&
      sameProtocols(member.protocols, protocols);
    if (!isSame) this.#roster.members.put({ ...member, sessionTimeoutMs, rebalanceTimeoutMs, protocols });
    this.#context.sessions.heard(memberId, sessionTimeoutMs);
    return this.#roster.joins.park(memberId);
  }

  // ── SyncGroup ──────────────────────────────────────────────────────────────────────────────────────────────────────

  sync(request: SyncGroupRequest): Answer<SyncedGroup | Failure> {
    const { memberId, assignments } = request;
    const problem = this.#syncProblem(request);
    const member = this.#roster.members.get(memberId);
    if (problem !== undefined || member === undefined) return problem ?? failure("UNKNOWN_MEMBER_ID");
    if (this.state === "PreparingRebalance") return failure("REBALANCE_IN_PROGRESS");
    this.#roster.awaitingSync.delete(memberId);
    this.#context.sessions.heard(memberId, member.sessionTimeoutMs);
    if (this.state === "Stable") return this.#rebalance.synced(member);
    const parked = this.#roster.syncs.park(memberId);
    if (this.#roster.record.leader === memberId) {
      this.#rebalance.complete(
        new Map(assignments.map(({ memberId, assignment }) => [memberId, assignment])),
      );
    }
    return parked;
  }

  #syncProblem({ memberId, instanceId, generation, protocolType, protocolName }: SyncGroupRequest) {
    const problem =
      this.#roster.memberProblem(memberId, instanceId) ?? this.#roster.generationProblem(generation);
    if (problem !== undefined) return problem;
    const { protocolType: type, protocolName: name } = this.#roster.record;
    const isOther = (asked: string | null, known: string | null) =>
      asked !== null && known !== null && asked !== known;
    if (!isOther(protocolType, type) && !isOther(protocolName, name)) return undefined;
    return failure("INCONSISTENT_GROUP_PROTOCOL", `the group has chosen ${type}, ${name}`);
  }

  // ── Heartbeat, LeaveGroup ──────────────────────────────────────────────────────────────────────────────────────────

  heartbeat({ memberId, instanceId, generation }: HeartbeatRequest): Failure | null {
    const problem =
      this.#roster.memberProblem(memberId, instanceId) ?? this.#roster.generationProblem(generation);
    if (problem !== undefined) return problem;
    this.#roster.heard(memberId);
    return this.state === "PreparingRebalance" ? failure("REBALANCE_IN_PROGRESS") : null;
  }

  leave(leaving: readonly LeavingMember[]): LeftMember[] {
    const before = this.#roster.members.size;
    const left = leaving.map((member) => ({ ...member, error: this.#leaveOne(member) }));
    this.#rebalance.someoneLeft(this.#roster.members.size < before);
    return left;
  }

  #leaveOne({ memberId, instanceId }: LeavingMember): ErrorName | null {
    if (memberId === "") {
      const member = this.#roster.members.ofInstance(instanceId);
      if (member === undefined) return "UNKNOWN_MEMBER_ID";
      this.#roster.remove(member.memberId);
      return null;
    }
    const problem = this.#roster.pending.has(memberId)
      ? undefined
      : this.#roster.memberProblem(memberId, instanceId);
    if (problem === undefined) this.#roster.remove(memberId);
    return problem?.error ?? null;
  }

  // ── timers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  timeIsUp(timer: string): void {
    if (this.#rebalance.timeIsUp(timer)) return;
    const memberId = Sessions.memberOf(timer);
    if (timer.startsWith(PENDING_TIMER)) this.#expire(timer.slice(PENDING_TIMER.length));
    else if (memberId !== undefined && !this.#roster.isWaiting(memberId)) this.#expire(memberId);
  }

  #expire(memberId: string): void {
    const wasMember = this.#roster.members.has(memberId);
    this.#roster.remove(memberId);
    this.#rebalance.someoneLeft(wasMember);
  }

  // ── offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Why these offsets must not be committed; a member that commits has been heard. */
  commitProblem({ memberId, instanceId, generation, isTransactional }: Committer): Failure | undefined {
    if (generation < 0 && this.isEmpty) return undefined;
    if (generation < 0 && memberId === "" && instanceId === null) {
      return failure(
        "UNKNOWN_MEMBER_ID",
        "the group has members: only they commit offsets, or everyone once it is empty",
      );
    }
    const problem =
      this.#roster.memberProblem(memberId, instanceId) ?? this.#roster.generationProblem(generation);
    if (problem !== undefined) return problem;
    if (this.state === "CompletingRebalance" && isTransactional !== true)
      return failure("REBALANCE_IN_PROGRESS");
    this.#roster.heard(memberId);
    return undefined;
  }

  fetchProblem(): Failure | undefined {
    return undefined;
  }

  get mayDeleteOffsets(): boolean {
    return this.#roster.mayDeleteOffsets;
  }

  isSubscribedTo(topic: string): boolean {
    return this.#roster.isSubscribedTo(topic);
  }

  get offsetsExpireFrom(): number | "commit" | undefined {
    return this.#roster.offsetsExpireFrom;
  }

  summary(): GroupSummary {
    return this.#roster.summary();
  }

  describe(): ClassicGroupDescription {
    return this.#roster.describe();
  }
}
