/**
 * Who is in a group of the classic protocol, and who waits for what: the state of the group, without its transitions.
 */

import { type ErrorName, type Failure, failure } from "../../../src/model/errors.ts";
import { GROUP_METADATA_BYTES_MAX } from "../../../src/model/limits.ts";
import { CONSUMER_PROTOCOL_TYPE, readConsumerAssignment, subscribedTopics } from "../consumer-protocol.ts";
import { Members } from "../members.ts";
import type {
  ClassicGroupDescription,
  GroupSummary,
  JoinGroupRequest,
  JoinGroupResult,
  SyncedGroup,
} from "../rpc.ts";
import type { GroupContext } from "../settings.ts";
import {
  type ClassicMember,
  classicMemberCodec,
  commonProtocols,
  metadataOf,
  NO_BYTES,
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

/** The session of an id that was given out and has not come back yet. */
export const PENDING_TIMER = "pending ";

export class ClassicRoster {
  readonly members: Members<ClassicMember>;
  /** Parked requests; they end with the object. */
  readonly joins = new Parked<JoinGroupResult>((memberId) => refusal("REBALANCE_IN_PROGRESS", memberId));
  readonly syncs = new Parked<SyncedGroup | Failure>(() => failure("REBALANCE_IN_PROGRESS"));
  /** Ids that were given out by MEMBER_ID_REQUIRED and have not come back yet. */
  readonly pending = new Set<string>();
  /** Members that have not had an answer to a JoinGroup yet: they cannot heartbeat. */
  readonly newcomers = new Set<string>();
  readonly awaitingSync = new Set<string>();
  readonly #context: GroupContext;
  #record: ClassicRecord;
  #isRecordChanged = false;

  constructor(context: GroupContext, record: ClassicRecord) {
    this.#context = context;
    this.#record = record;
    this.members = new Members(context.store, classicMemberCodec);
  }

  get record(): ClassicRecord {
    return this.#record;
  }

  get isEmpty(): boolean {
    return this.#record.state === "Empty";
  }

  /** Writes what has changed; inside the transaction of the change. */
  flush(): void {
    this.members.flush();
    if (this.#isRecordChanged) this.#context.store.saveGroup(JSON.stringify(this.#record));
    this.#isRecordChanged = false;
  }

  /** Whoever waits for an answer gets one, so that a client that is alive joins again. */
  remove(memberId: string): void {
    const gone = failure("UNKNOWN_MEMBER_ID", `member ${memberId} has left the group`);
    this.joins.answer(memberId, { ...gone, memberId: "" });
    this.syncs.answer(memberId, gone);
    this.forget(memberId);
    if (this.#record.leader !== memberId) return;
    const [first] = this.members.values();
    this.change({ leader: first?.memberId ?? null });
  }

  forget(memberId: string): void {
    this.members.delete(memberId);
    this.#context.sessions.end(memberId);
    this.newcomers.delete(memberId);
    this.awaitingSync.delete(memberId);
    this.pending.delete(memberId);
    this.#context.timers.cancel(PENDING_TIMER + memberId);
  }

  /** Who waits for an answer cannot heartbeat; the session goes on when it has got one. */
  isWaiting(memberId: string): boolean {
    const isParked = this.joins.has(memberId) || this.syncs.has(memberId);
    return isParked && !this.newcomers.has(memberId);
  }

  // ── what others see of it ──────────────────────────────────────────────────────────────────────────────────────────

  get mayDeleteOffsets(): boolean {
    return this.isEmpty || this.#isOfConsumers;
  }

  isSubscribedTo(topic: string): boolean {
    if (!this.#isOfConsumers) return false;
    const { protocolName } = this.#record;
    return [...this.members.values()].some((member) => {
      const topics = subscribedTopics(metadataOf(member, protocolName));
      return topics === undefined || topics.includes(topic);
    });
  }

  /** From when the retention of offsets counts: "commit", or a time in ms; undefined: they do not expire now. */
  get offsetsExpireFrom(): number | "commit" | undefined {
    if (this.#record.protocolType === null) return "commit";
    if (this.isEmpty) return this.#record.stateSinceMs;
    return this.#isOfConsumers && this.#record.state === "Stable" ? "commit" : undefined;
  }

  get #isOfConsumers(): boolean {
    return this.#record.protocolType === CONSUMER_PROTOCOL_TYPE;
  }

  summary(): GroupSummary {
    const { state, protocolType } = this.#record;
    return {
      type: "classic",
      state,
      protocolType: protocolType ?? "",
      memberCount: this.members.size,
    };
  }

  describe(): ClassicGroupDescription {
    const { state, generation, protocolType, protocolName } = this.#record;
    const isStable = state === "Stable";
    return {
      type: "classic",
      state,
      generation,
      protocolType: protocolType ?? "",
      protocolName: isStable ? (protocolName ?? "") : "",
      members: [...this.members.values()].map((member) => ({
        memberId: member.memberId,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        metadata: isStable ? metadataOf(member, protocolName) : NO_BYTES,
        assignment: isStable ? member.assignment : NO_BYTES,
        partitions: (isStable && this.#isOfConsumers && readConsumerAssignment(member.assignment)) || [],
      })),
    };
  }

  // ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** While members join, those count that have: the last to come back to a group that is too large are left out. */
  hasRoomFor(memberId: string): boolean {
    const { membersMax } = this.#context.settings;
    if (this.isEmpty) return true;
    if (this.record.state === "PreparingRebalance")
      return this.joins.has(memberId) || this.joins.size < membersMax;
    return this.members.has(memberId) || this.members.size < membersMax;
  }

  supports({ protocolType, protocols }: JoinGroupRequest): boolean {
    if (protocolType === "" || protocols.length === 0) return false;
    if (this.isEmpty || this.members.size === 0) return true;
    if (this.#record.protocolType !== protocolType) return false;
    const common = commonProtocols(this.members.values());
    return protocols.some(({ name }) => common.has(name));
  }

  memberProblem(memberId: string, instanceId: string | null): Failure | undefined {
    if (instanceId !== null) {
      const owner = this.members.ofInstance(instanceId);
      if (owner === undefined)
        return failure("UNKNOWN_MEMBER_ID", `no member has the instance id ${instanceId}`);
      if (owner.memberId !== memberId) {
        return failure("FENCED_INSTANCE_ID", `instance ${instanceId} is member ${owner.memberId} now`);
      }
    }
    if (this.members.has(memberId)) return undefined;
    return failure("UNKNOWN_MEMBER_ID", `the group has no member ${JSON.stringify(memberId)}; join again`);
  }

  generationProblem(generation: number): Failure | undefined {
    if (generation === this.#record.generation) return undefined;
    return failure(
      "ILLEGAL_GENERATION",
      `generation ${generation} is not the group's, which is ${this.#record.generation}`,
    );
  }

  fullMessage(): string {
    return `the group has ${this.#context.settings.membersMax} members, the most that it can have`;
  }

  /** What all members say of themselves must go into one answer, to their leader. */
  metadataProblem(request: JoinGroupRequest): Failure | undefined {
    let bytes = bytesIn(request);
    for (const member of this.members.values()) bytes += bytesIn(member);
    if (bytes <= GROUP_METADATA_BYTES_MAX) return undefined;
    return failure(
      "GROUP_MAX_SIZE_REACHED",
      `what the group's members say of themselves comes to more than ${GROUP_METADATA_BYTES_MAX} bytes`,
    );
  }

  rebalanceTimeoutMs(): number {
    let most = 0;
    for (const { rebalanceTimeoutMs } of this.members.values()) most = Math.max(most, rebalanceTimeoutMs);
    return most;
  }

  heard(memberId: string): void {
    const member = this.members.get(memberId);
    if (member !== undefined) this.#context.sessions.heard(memberId, member.sessionTimeoutMs);
  }

  enter(state: ClassicState): void {
    this.change({ state, stateSinceMs: this.#context.clock.now() });
  }

  change(changes: Partial<ClassicRecord>): void {
    this.#record = { ...this.#record, ...changes };
    this.#isRecordChanged = true;
  }
}

function bytesIn({ protocols }: Pick<ClassicMember, "protocols">): number {
  return protocols.reduce((bytes, { metadata }) => bytes + metadata.length, 0);
}

export function refusal(error: ErrorName, memberId: string, message?: string): JoinGroupResult {
  return { ...failure(error, message), memberId };
}
