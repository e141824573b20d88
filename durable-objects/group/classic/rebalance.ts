/**
 * How a group of the classic protocol gets from one generation to the next:
 *
 *   Empty → PreparingRebalance → CompletingRebalance → Stable → PreparingRebalance → …
 *
 * Members join while it prepares, and the next generation is of those who have; it is complete when their leader has
 * said who gets what. Who is late for either is left out.
 */

import { type Failure, failure } from "../../../src/model/errors.ts";
import { GROUP_SESSION_TIMEOUT_MS } from "../../../src/model/limits.ts";
import type { JoinGroupResult, SyncedGroup } from "../rpc.ts";
import type { GroupContext } from "../settings.ts";
import { type ClassicMember, electProtocol, metadataOf, NO_BYTES, sameBytes } from "./classic-member.ts";
import type { ClassicRoster } from "./classic-roster.ts";

const JOIN_TIMER = "join";
const SYNC_TIMER = "sync";

export class Rebalance {
  readonly #context: GroupContext;
  readonly #roster: ClassicRoster;
  /** The first rebalance of an empty group waits for more members while they keep coming. */
  #initial: { readonly delayMs: number; readonly remainingMs: number; hasGrown: boolean } | undefined;

  constructor(context: GroupContext, roster: ClassicRoster) {
    this.#context = context;
    this.#roster = roster;
  }

  /** The object has woken: members have their whole timeouts to come back. */
  restore(): void {
    const { state } = this.#roster.record;
    if (state === "PreparingRebalance") this.#setTimer(JOIN_TIMER, this.#roster.rebalanceTimeoutMs());
    if (state === "CompletingRebalance") this.#awaitSync();
  }

  /** Whoever waits for an answer must be given one beside this. */
  abandon(): void {
    this.#context.timers.cancel(JOIN_TIMER);
    this.#context.timers.cancel(SYNC_TIMER);
  }

  /** False if this timer is of something else. */
  timeIsUp(timer: string): boolean {
    if (timer === JOIN_TIMER) this.#joinTimeIsUp();
    else if (timer === SYNC_TIMER) this.#syncTimeIsUp();
    else return false;
    return true;
  }

  // ── PreparingRebalance ─────────────────────────────────────────────────────────────────────────────────────────────

  begin(): void {
    for (const memberId of this.#roster.syncs.memberIds()) {
      this.#roster.heard(memberId);
      this.#roster.syncs.answer(memberId, failure("REBALANCE_IN_PROGRESS"));
    }
    this.#roster.awaitingSync.clear();
    this.#context.timers.cancel(SYNC_TIMER);
    const isInitial = this.#roster.isEmpty;
    this.#roster.enter("PreparingRebalance");
    if (!isInitial) {
      if (!this.#haveAllJoined()) this.#setTimer(JOIN_TIMER, this.#roster.rebalanceTimeoutMs());
      this.#completeJoinIfAll();
      return;
    }
    const delayMs = this.#context.settings.initialRebalanceDelayMs;
    const remainingMs = Math.max(this.#roster.rebalanceTimeoutMs() - delayMs, 0);
    this.#initial = { delayMs, remainingMs, hasGrown: false };
    if (delayMs > 0) this.#setTimer(JOIN_TIMER, delayMs);
    else this.#completeJoin();
  }

  /** A member has joined, again or anew, and its request is parked. */
  beginOrGoOn(): void {
    if (this.#isPreparing) this.#completeJoinIfAll();
    else this.begin();
  }

  /** There is one more member; it is to join like the others. */
  grown(): void {
    if (this.#initial !== undefined) this.#initial.hasGrown = true;
  }

  /** `wasMember`: not only somebody who was still expected. */
  someoneLeft(wasMember: boolean): void {
    if (this.#isPreparing) this.#completeJoinIfAll();
    else if (wasMember && !this.#roster.isEmpty) this.begin();
  }

  get #isPreparing(): boolean {
    return this.#roster.record.state === "PreparingRebalance";
  }

  #haveAllJoined(): boolean {
    return this.#roster.joins.size === this.#roster.members.size && this.#roster.pending.size === 0;
  }

  #completeJoinIfAll(): void {
    const isWaitingForMore = this.#initial !== undefined;
    if (this.#isPreparing && !isWaitingForMore && this.#haveAllJoined()) this.#completeJoin();
  }

  #joinTimeIsUp(): void {
    if (!this.#isPreparing) return;
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
    for (const { memberId, instanceId } of [...this.#roster.members.values()]) {
      if (!this.#roster.joins.has(memberId) && instanceId === null) this.#roster.remove(memberId);
    }
    this.#initial = undefined;
    if (this.#roster.members.size > 0 && !this.#electLeader()) {
      // Only static members are left, and none of them is back: until their sessions end. They may have joined with a
      // rebalance timeout of 0.
      const timeoutMs = Math.max(this.#roster.rebalanceTimeoutMs(), GROUP_SESSION_TIMEOUT_MS.least);
      this.#setTimer(JOIN_TIMER, timeoutMs);
      return;
    }
    this.#roster.change({ generation: this.#roster.record.generation + 1 });
    if (this.#roster.members.size === 0) {
      this.#roster.change({ protocolName: null, leader: null });
      this.#roster.enter("Empty");
      return;
    }
    this.#roster.change({ protocolName: electProtocol(this.#roster.members.values()) });
    this.#roster.enter("CompletingRebalance");
    for (const member of this.#roster.members.values()) {
      this.#roster.newcomers.delete(member.memberId);
      this.#context.sessions.heard(member.memberId, member.sessionTimeoutMs);
      this.#roster.joins.answer(member.memberId, this.joined(member));
    }
    this.#awaitSync();
  }

  /** False if nobody has joined. */
  #electLeader(): boolean {
    const { leader } = this.#roster.record;
    if (leader !== null && this.#roster.joins.has(leader)) return true;
    for (const { memberId } of this.#roster.members.values()) {
      if (!this.#roster.joins.has(memberId)) continue;
      this.#roster.change({ leader: memberId });
      return true;
    }
    return false;
  }

  /** What a member of this generation is told: its leader, of all members. */
  joined({ memberId }: ClassicMember): Exclude<JoinGroupResult, Failure> {
    const { generation, protocolType, protocolName, leader } = this.#roster.record;
    const members =
      leader === memberId
        ? [...this.#roster.members.values()].map((member) => ({
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

  // ── CompletingRebalance ────────────────────────────────────────────────────────────────────────────────────────────

  /** The leader has decided. */
  complete(assignments: ReadonlyMap<string, Uint8Array>): void {
    for (const member of [...this.#roster.members.values()]) {
      const assignment = assignments.get(member.memberId) ?? NO_BYTES;
      if (!sameBytes(assignment, member.assignment)) this.#roster.members.put({ ...member, assignment });
    }
    this.#roster.enter("Stable");
    for (const member of this.#roster.members.values()) {
      if (!this.#roster.syncs.has(member.memberId)) continue;
      this.#context.sessions.heard(member.memberId, member.sessionTimeoutMs);
      this.#roster.syncs.answer(member.memberId, this.synced(member));
    }
  }

  synced({ assignment }: ClassicMember): SyncedGroup {
    const { protocolType, protocolName } = this.#roster.record;
    return { protocolType: protocolType ?? "", protocolName: protocolName ?? "", assignment };
  }

  /** At least a session's time, which Kafka does not grant: clients may join with a rebalance timeout of 0. */
  #awaitSync(): void {
    let timeoutMs = this.#roster.rebalanceTimeoutMs();
    for (const { memberId, sessionTimeoutMs } of this.#roster.members.values()) {
      this.#roster.awaitingSync.add(memberId);
      timeoutMs = Math.max(timeoutMs, sessionTimeoutMs);
    }
    this.#setTimer(SYNC_TIMER, timeoutMs);
  }

  #syncTimeIsUp(): void {
    const { state } = this.#roster.record;
    const isOpen = state === "CompletingRebalance" || state === "Stable";
    if (!isOpen || this.#roster.awaitingSync.size === 0) return;
    for (const memberId of [...this.#roster.awaitingSync]) this.#roster.remove(memberId);
    this.begin();
  }

  #setTimer(timer: string, inMs: number): void {
    this.#context.timers.set(timer, this.#context.clock.now() + inMs);
  }
}
