/**
 * The coordinator of one group: decides which kind of group it is, keeps its offsets, runs its timers. Every change is one
 * synchronous transaction; what it answers is held by the platform's output gate until that is durable.
 */

import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { groupIdProblem, type TopicId } from "../../src/model/ids.ts";
import { ALARM_RETRY_MS, TOPICS_PER_LOOK_UP_MAX } from "../../src/model/limits.ts";
import type { Clock, LogStorage } from "../partition/storage.ts";
import { ClassicGroup } from "./classic/classic-group.ts";
import type { ClassicRecord } from "./classic/classic-roster.ts";
import { CommitQueue, type CommitResult } from "./commit-queue.ts";
import { topicPartitionsOf } from "./consumer/assignment.ts";
import type { ClassicFace } from "./consumer/classic-face.ts";
import { ConsumerGroup } from "./consumer/consumer-group.ts";
import type { NativeTraits } from "./consumer/consumer-member.ts";
import { heartbeatProblem } from "./consumer/heartbeat-request.ts";
import type { ConsumerRecord } from "./consumer/membership.ts";
import { downgraded, planUpgrade, upgraded } from "./consumer/migration.ts";
import { TopicDirectory, type TopicLookUp, type TopicSnapshot } from "./consumer/topic-directory.ts";
import { CONSUMER_PROTOCOL_TYPE, subscribedTopics } from "./consumer-protocol.ts";
import { GroupOffsets, OFFSETS_TIMER } from "./group-offsets.ts";
import { GroupStore } from "./group-store.ts";
import type { MemberSockets } from "./native/member-sockets.ts";
import { PollMembers } from "./native/poll-members.ts";
import { SOCKETS_TIMER, SocketMembers } from "./native/socket-members.ts";
import { type Plan, PlannedChanges } from "./planned-changes.ts";
import { Registration } from "./registration.ts";
import { commitProblem, joinProblem, leaveProblem, syncProblem } from "./requests.ts";
import {
  type CommitOffsetsRequest,
  type CommittedOffset,
  type ConsumerGroupHeartbeatAnswer,
  type ConsumerGroupHeartbeatRequest,
  type DeletedPartition,
  type DeliveredPoll,
  type FetchOffsetsRequest,
  type GroupDescription,
  type GroupRpc,
  type GroupSummary,
  type HeartbeatRequest,
  JOIN_EPOCH,
  type JoinGroupRequest,
  type JoinGroupResult,
  type LeavingMember,
  type LeftMember,
  type NamedTopicPartitions,
  type OffsetsPage,
  type OffsetsPageRequest,
  type PollAnswer,
  type PollRequest,
  type SyncedGroup,
  type SyncGroupRequest,
} from "./rpc.ts";
import { Sessions } from "./sessions.ts";
import type { GroupContext, GroupSettings } from "./settings.ts";
import { Timers } from "./timers.ts";

const CLOSE_TIMER = "close";
const NOTHING_NEW = { subscribedTopicNames: null, subscribedTopicRegex: null };

/** What the coordinator needs of the world around it. */
export interface CoordinatorSurroundings {
  readonly storage: LogStorage;
  readonly clock: Clock;
  readonly settings: GroupSettings;
  newId(): string;
  /** Tells the Controller that the group exists; can be repeated. */
  openGroup(groupId: string): Promise<void>;
  /** Tells it that it does not exist any more; can be repeated. */
  closeGroup(groupId: string): Promise<void>;
  readonly sockets: MemberSockets;
  readonly topics: TopicLookUp & {
    /** Those of these topics that exist. */
    existingTopics(topicIds: readonly TopicId[]): Promise<TopicId[]>;
  };
}

export class Coordinator implements GroupRpc {
  readonly groupId: string;
  readonly timers: Timers;
  /** Members that hold a WebSocket. */
  readonly sockets: SocketMembers;
  readonly #polls: PollMembers;
  readonly #around: CoordinatorSurroundings;
  readonly #store: GroupStore;
  readonly #offsets: GroupOffsets;
  readonly #commits: CommitQueue;
  readonly #registration: Registration;
  readonly #context: GroupContext;
  readonly #topics: TopicDirectory;
  readonly #plans: PlannedChanges;
  #group: ClassicGroup | ConsumerGroup | undefined;

  constructor(groupId: string, around: CoordinatorSurroundings) {
    this.groupId = groupId;
    this.#around = around;
    const { storage, clock, settings } = around;
    this.timers = new Timers((atMs) => storage.setAlarm(atMs));
    this.#store = new GroupStore(storage);
    this.#topics = new TopicDirectory(around.topics, clock);
    this.#commits = new CommitQueue(storage, (requests) => this.#writeCommits(requests));
    this.#registration = new Registration(this.#store, {
      groupId,
      open: () => around.openGroup(groupId),
      close: () => around.closeGroup(groupId),
      transaction: (closure) => storage.transactionSync(closure),
    });
    this.#plans = new PlannedChanges({
      topics: this.#topics,
      registration: this.#registration,
      change: (change) => this.#change(change),
    });
    const sessions = new Sessions(this.#store, this.timers, clock);
    this.#context = {
      store: this.#store,
      timers: this.timers,
      sessions,
      clock,
      settings,
      newId: around.newId,
      isConnected: (memberId) => this.sockets.isConnected(memberId),
    };
    this.#offsets = new GroupOffsets(storage, this.#context);
    this.sockets = new SocketMembers({
      sockets: around.sockets,
      clock,
      settings,
      timers: this.timers,
      sessions,
      group: () => this.#consumers,
      heartbeat: (request, done) => this.#consumerHeartbeat(request, { type: "socket" }, done),
      change: (change) => this.#change(change),
      commit: (request) => this.commitOffsets(request),
      committed: (assignment) => this.#offsets.fetch(topicPartitionsOf(assignment)),
      lookForTopics: (isAsked) => this.#lookForTopics(isAsked),
    });
    this.#polls = new PollMembers({
      newId: around.newId,
      group: () => this.#consumers,
      heartbeat: (request, native, done) => this.#consumerHeartbeat(request, native, done),
      committed: (assignment) => this.#offsets.fetch(topicPartitionsOf(assignment)),
    });
    this.sockets.restore();
    if (this.#store.exists) storage.transactionSync(() => this.#restore());
  }

  #restore(): void {
    if (this.#store.isClosing) this.timers.set(CLOSE_TIMER, this.#around.clock.now());
    const stored = this.#store.group();
    if (stored === undefined) return;
    const record = storedGroup(stored);
    this.#group =
      record.type === "classic"
        ? new ClassicGroup(this.#context, record)
        : new ConsumerGroup(this.#context, record);
    this.#group.restore();
    this.sockets.restored();
    this.#offsets.schedule(this.#group);
  }

  // ── classic ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async joinGroup(asked: JoinGroupRequest): Promise<JoinGroupResult> {
    const { memberId, rebalanceTimeoutMs, sessionTimeoutMs } = asked;
    const problem = this.#idProblem() ?? joinProblem(asked);
    if (problem !== undefined) return { ...problem, memberId };
    const request = {
      ...asked,
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    };
    const plan = (): Plan<JoinGroupResult | Promise<JoinGroupResult>> | Failure => {
      const group = this.#group;
      // A member that is known belongs to a group that exists.
      if (group === undefined && memberId !== "") return this.#noGroup("UNKNOWN_MEMBER_ID");
      if (group?.type !== "consumer" || group.isEmpty) {
        return { needs: undefined, run: () => this.#classicGroup().join(request) };
      }
      const subscribed = subscribedTopics(request.protocols[0]?.metadata ?? new Uint8Array());
      const needs = group.membership.subscriptionsWith({
        subscribedTopicNames: subscribed ?? [],
        subscribedTopicRegex: null,
      });
      return isFailure(needs) ? needs : { needs, run: (topics) => group.classic.join(request, topics) };
    };
    const result = await this.#plans.carryOut(plan, { opens: true });
    return isFailure(result) ? { memberId, ...result } : result;
  }

  async syncGroup(request: SyncGroupRequest): Promise<SyncedGroup | Failure> {
    const problem = this.#idProblem() ?? syncProblem(request);
    if (problem !== undefined) return problem;
    return this.#change(() => this.#classicFace?.sync(request) ?? this.#noGroup("UNKNOWN_MEMBER_ID"));
  }

  async heartbeat(request: HeartbeatRequest): Promise<Failure | null> {
    const problem = this.#idProblem();
    if (problem !== undefined) return problem;
    const group = this.#classicFace;
    return this.#change(() =>
      group === undefined ? this.#noGroup("UNKNOWN_MEMBER_ID") : group.heartbeat(request),
    );
  }

  async leaveGroup(members: readonly LeavingMember[]): Promise<LeftMember[] | Failure> {
    const problem = this.#idProblem() ?? leaveProblem(members);
    if (problem !== undefined) return problem;
    return this.#change(
      () =>
        this.#classicFace?.leave(members) ??
        members.map((member) => ({ ...member, error: "UNKNOWN_MEMBER_ID" as const })),
    );
  }

  // ── consumer (KIP-848) ─────────────────────────────────────────────────────────────────────────────────────────────

  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure> {
    return this.#consumerHeartbeat(request, null);
  }

  poll(request: PollRequest): Promise<PollAnswer | Failure> {
    return this.#polls.poll(request);
  }

  async delivered(poll: DeliveredPoll): Promise<Failure | null> {
    return this.#change(() => this.#polls.delivered(poll));
  }

  async removeMember(memberId: string): Promise<Failure | null> {
    return this.#change(() => {
      const membership = this.#consumers?.membership;
      const member = membership?.get(memberId);
      if (membership !== undefined && member !== undefined && member.classic === null) {
        membership.fence(member);
        return null;
      }
      const left = this.#classicFace?.leave([{ memberId, instanceId: null }])[0];
      return left?.error === null ? null : this.#noMember(memberId);
    });
  }

  /** `native`: of a member that does not speak Kafka's protocol. `done`: in the turn in which it has been heard. */
  async #consumerHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
    native: NativeTraits | null,
    done?: (answer: ConsumerGroupHeartbeatAnswer) => void,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure> {
    const problem = this.#idProblem() ?? heartbeatProblem(request);
    if (problem !== undefined) return problem;
    const isJoining = request.memberEpoch === JOIN_EPOCH;
    const beat = (group: ConsumerGroup, topics: TopicSnapshot | undefined) => {
      this.#group = group;
      const answer = group.heartbeat(request, topics, native);
      if (!isFailure(answer)) done?.(answer);
      return answer;
    };
    return this.#plans.carryOut(
      () => {
        const group = this.#group;
        // Of these, Kafka says GROUP_ID_NOT_FOUND, which ends a client; a member that has been forgotten joins again.
        if (!isJoining && group?.type !== "consumer") return this.#noGroup("UNKNOWN_MEMBER_ID");
        if (group?.type === "classic" && !group.isEmpty) {
          return this.#planUpgrade(group, request, native, beat);
        }
        const consumers = group?.type === "consumer" ? group : ConsumerGroup.create(this.#context);
        const needs =
          request.memberEpoch < JOIN_EPOCH ? undefined : consumers.membership.subscriptionsWith(request);
        if (isFailure(needs)) return needs;
        return {
          needs,
          run: (topics) => {
            // An empty one may still expect members that it has given an id.
            if (this.#group?.type === "classic") this.#group.dissolve();
            return beat(consumers, topics);
          },
        };
      },
      // A member that does not speak Kafka's protocol is told at once which of its topics there are.
      { opens: isJoining, looksAgain: isJoining && native !== null },
    );
  }

  /** The first member of KIP-848 in a group of the classic protocol takes the whole group along. */
  #planUpgrade(
    group: ClassicGroup,
    request: ConsumerGroupHeartbeatRequest,
    native: NativeTraits | null,
    beat: (group: ConsumerGroup, topics: TopicSnapshot) => ConsumerGroupHeartbeatAnswer | Failure,
  ): Plan<ConsumerGroupHeartbeatAnswer | Failure> | Failure {
    const { size } = group;
    // A full group is not to be disturbed; a static member may take over from its former self.
    if (request.instanceId === null && size >= this.#around.settings.membersMax) {
      const message = `the group has ${size} members, the most that it can have`;
      return failure("GROUP_MAX_SIZE_REACHED", message);
    }
    const upgrade = planUpgrade(group, request);
    if (isFailure(upgrade)) {
      return upgrade.error === "GROUP_ID_NOT_FOUND" ? this.#notForConsumers(group, native) : upgrade;
    }
    return {
      needs: upgrade.needs,
      run: (topics) => {
        if (topics === undefined) {
          return failure("COORDINATOR_NOT_AVAILABLE", "which topics there are cannot be asked now");
        }
        return beat(upgraded(this.#context, group, upgrade.members, topics), topics);
      },
    };
  }

  /** Kafka's clients are told what Kafka tells them. */
  #notForConsumers({ record: { protocolType } }: ClassicGroup, native: NativeTraits | null): Failure {
    const reason =
      protocolType === CONSUMER_PROTOCOL_TYPE
        ? "some of its members are consumers whose subscriptions only they themselves understand"
        : `its members are of protocol type ${JSON.stringify(protocolType)}, not consumers`;
    return failure(
      native === null ? "GROUP_ID_NOT_FOUND" : "INCONSISTENT_GROUP_PROTOCOL",
      `group ${JSON.stringify(this.groupId)} assigns its partitions itself: ${reason}. Take another group id, or stop its members first`,
    );
  }

  /** For members that ask for nothing: what has become of their topics. */
  async #lookForTopics(isAsked: boolean): Promise<void> {
    const needs = this.#consumers?.membership.subscriptionsWith(NOTHING_NEW);
    if (needs === undefined || isFailure(needs)) return;
    if (!isAsked && this.#topics.peek(needs) !== undefined) return;
    try {
      await this.#topics.refresh(needs);
      this.#change(() => undefined);
    } catch (error) {
      console.warn("the Controller could not be asked for topics, the next time will do:", error);
    }
  }

  // ── describing, deleting ───────────────────────────────────────────────────────────────────────────────────────────

  async summary(): Promise<GroupSummary | Failure> {
    const problem = this.#idProblem();
    if (problem !== undefined) return problem;
    this.#store.confirmUniqueness();
    return this.#group?.summary() ?? this.#noGroup("GROUP_ID_NOT_FOUND");
  }

  async describe(): Promise<GroupDescription | Failure> {
    const problem = this.#idProblem();
    if (problem !== undefined) return problem;
    this.#store.confirmUniqueness();
    return this.#group?.describe() ?? this.#noGroup("GROUP_ID_NOT_FOUND");
  }

  async deleteGroup(): Promise<Failure | null> {
    const problem = this.#idProblem();
    if (problem !== undefined) return problem;
    // Its last session may have ended: alarms can be late.
    if (this.#group?.isEmpty === false) await this.runDue();
    const refused = this.#change(() => {
      if (this.#group === undefined) return this.#noGroup("GROUP_ID_NOT_FOUND");
      if (!this.#group.isEmpty) return failure("NON_EMPTY_GROUP", "the group has members; stop them first");
      this.#remove();
      return null;
    });
    if (refused === null) await this.#close();
    return refused;
  }

  /** Everything but that the Controller is still to be told. */
  #remove(): void {
    if (this.#group?.type === "classic") this.#group.dissolve();
    this.#group = undefined;
    this.#store.saveGroup(undefined);
    this.#offsets.clear();
    this.#store.setClosing(true);
    this.timers.set(CLOSE_TIMER, this.#around.clock.now());
  }

  async #close(): Promise<void> {
    const isClosed = await this.#registration.close();
    if (isClosed) this.timers.cancel(CLOSE_TIMER);
    else this.timers.set(CLOSE_TIMER, this.#around.clock.now() + ALARM_RETRY_MS.most);
  }

  // ── offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async commitOffsets(request: CommitOffsetsRequest): Promise<CommitResult> {
    const problem = this.#idProblem() ?? commitProblem(request);
    if (problem !== undefined) return problem;
    if (this.#group === undefined && request.generation >= 0) {
      return this.#noGroup(request.knowsMemberEpochs ? "GROUP_ID_NOT_FOUND" : "ILLEGAL_GENERATION");
    }
    while (!this.#registration.isOpen) await this.#registration.open();
    return this.#commits.add(request);
  }

  #writeCommits(requests: readonly CommitOffsetsRequest[]): CommitResult[] {
    return this.#around.storage.transactionSync(() => {
      // Offsets without a group make a group that only holds offsets.
      const results = requests.map((request) =>
        this.#offsets.commit(this.#group ?? this.#classicGroup(), request),
      );
      this.#group?.flush();
      return results;
    });
  }

  async fetchOffsets(request: FetchOffsetsRequest): Promise<CommittedOffset[] | Failure> {
    const problem = this.#idProblem();
    if (problem !== undefined) return problem;
    this.#commits.flush();
    if (this.#group === undefined) return [];
    this.#store.confirmUniqueness();
    if (request.topics === null) await this.#forgetDeletedTopics();
    return this.#group?.fetchProblem(request) ?? this.#offsets.fetch(request.topics);
  }

  async offsetsPage({ after, limit, asStored = false }: OffsetsPageRequest): Promise<OffsetsPage | Failure> {
    const problem = this.#idProblem();
    if (problem !== undefined) return problem;
    this.#commits.flush();
    this.#store.confirmUniqueness();
    if (this.#group !== undefined && after === undefined && !asStored) await this.#forgetDeletedTopics();
    if (this.#group === undefined) return this.#noGroup("GROUP_ID_NOT_FOUND");
    return { ...this.#group.summary(), ...this.#offsets.page(after, limit) };
  }

  async deleteOffsets(topics: readonly NamedTopicPartitions[]): Promise<DeletedPartition[] | Failure> {
    const problem = this.#idProblem();
    if (problem !== undefined) return problem;
    return this.#change(() => {
      const group = this.#group;
      if (group === undefined) return this.#noGroup("GROUP_ID_NOT_FOUND");
      if (!group.mayDeleteOffsets) {
        return failure("NON_EMPTY_GROUP", "the group has members that are not consumers; stop them first");
      }
      return this.#offsets.delete(group, topics);
    });
  }

  async forgetTopics(topicIds: readonly TopicId[]): Promise<void> {
    if (this.#group === undefined) return;
    this.#change(() => this.#offsets.forgetTopics(topicIds));
  }

  /** Topics are deleted without asking the groups: who is about to show all offsets asks which topics are left. */
  async #forgetDeletedTopics(): Promise<void> {
    const topicIds = this.#offsets.topicIds();
    try {
      const existing = new Set<TopicId>();
      for (let from = 0; from < topicIds.length; from += TOPICS_PER_LOOK_UP_MAX) {
        const asked = topicIds.slice(from, from + TOPICS_PER_LOOK_UP_MAX);
        for (const topicId of await this.#around.topics.existingTopics(asked)) existing.add(topicId);
      }
      const deleted = topicIds.filter((topicId) => !existing.has(topicId));
      if (deleted.length > 0) await this.forgetTopics(deleted);
    } catch (error) {
      console.warn("which topics are deleted could not be asked, the next time will do:", error);
    }
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The alarm: does what is due. Whoever calls it arms the timers again. */
  async runDue(): Promise<void> {
    let isClosing = false;
    let looksAround = false;
    this.#change(() => {
      for (;;) {
        const timer = this.timers.takeDue(this.#around.clock.now());
        if (timer === undefined) return;
        if (timer === OFFSETS_TIMER) this.#expire();
        else if (timer === CLOSE_TIMER) isClosing = true;
        else if (timer === SOCKETS_TIMER) {
          this.sockets.look(true);
          looksAround = true;
        } else this.#group?.timeIsUp(timer);
      }
    });
    if (looksAround) await this.#lookForTopics(true);
    if (isClosing) await this.#close();
  }

  #expire(): void {
    if (this.#group !== undefined && this.#offsets.expire(this.#group)) this.#remove();
  }

  // ── changes ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #change<T>(change: () => T): T {
    this.#commits.flush();
    const changed = this.#around.storage.transactionSync(() => {
      const wasEmpty = this.#group?.isEmpty ?? false;
      this.sockets.look();
      const result = change();
      // The last member of KIP-848 has gone: the others have their protocol back.
      if (this.#consumers?.classic.isSpokenByAll) this.#group = downgraded(this.#context, this.#consumers);
      if (this.#consumers !== undefined) this.#settle(this.#consumers);
      this.#group?.flush();
      if (this.#group?.isEmpty === true && !wasEmpty) this.#offsets.schedule(this.#group);
      return result;
    });
    this.sockets.tell();
    return changed;
  }

  #settle(group: ConsumerGroup): void {
    if (!this.sockets.hasMembers) return;
    const known = group.membership.subscriptionsWith(NOTHING_NEW);
    this.sockets.settle(group, isFailure(known) ? undefined : this.#topics.peek(known, true));
  }

  /** The group, if its partitions are assigned here. */
  get #consumers(): ConsumerGroup | undefined {
    return this.#group?.type === "consumer" ? this.#group : undefined;
  }

  /** Who answers members of the classic protocol. */
  get #classicFace(): ClassicGroup | ClassicFace | undefined {
    return this.#group?.type === "consumer" ? this.#group.classic : this.#group;
  }

  /** An empty group of the other kind gives way; its offsets stay. */
  #classicGroup(): ClassicGroup {
    const group = this.#group?.type === "classic" ? this.#group : ClassicGroup.create(this.#context);
    this.#group = group;
    return group;
  }

  #noMember(memberId: string): Failure {
    const message = `group ${JSON.stringify(this.groupId)} has no member ${JSON.stringify(memberId)}`;
    return failure("UNKNOWN_MEMBER_ID", message);
  }

  #noGroup(error: "UNKNOWN_MEMBER_ID" | "GROUP_ID_NOT_FOUND" | "ILLEGAL_GENERATION"): Failure {
    return failure(error, `there is no group ${JSON.stringify(this.groupId)}`);
  }

  #idProblem(): Failure | undefined {
    const problem = groupIdProblem(this.groupId);
    return problem === undefined ? undefined : failure("INVALID_GROUP_ID", problem);
  }
}

/** As the groups wrote it. */
function storedGroup(json: string): ClassicRecord | ConsumerRecord {
  return JSON.parse(json);
}
