/**
 * The coordinator of one group: decides which kind of group it is, keeps its offsets, runs its timers. Every change is one
 * synchronous transaction; what it answers is held by the platform's output gate until that is durable.
 */

import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { STOP_MEMBERS } from "../../src/model/groups.ts";
import type { TopicId } from "../../src/model/ids.ts";
import type { Clock, LogStorage } from "../partition/storage.ts";
import type { TransactionOutcome } from "../transaction/rpc.ts";
import { ClassicGroup } from "./classic/classic-group.ts";
import { ClassicRequests } from "./classic/classic-requests.ts";
import type { ClassicRecord } from "./classic/classic-roster.ts";
import type { CommitResult } from "./commit-queue.ts";
import { topicPartitionsOf } from "./consumer/assignment.ts";
import { ConsumerGroup } from "./consumer/consumer-group.ts";
import { ConsumerHeartbeats } from "./consumer/consumer-heartbeats.ts";
import type { ConsumerRecord } from "./consumer/membership.ts";
import { downgraded } from "./consumer/migration.ts";
import { TopicDirectory, type TopicLookUp } from "./consumer/topic-directory.ts";
import { CurrentGroup } from "./current-group.ts";
import { GroupOffsets, OFFSETS_TIMER } from "./group-offsets.ts";
import { GroupStore } from "./group-store.ts";
import type { MemberSockets } from "./native/member-sockets.ts";
import { PollMembers } from "./native/poll-members.ts";
import { SOCKETS_TIMER, SocketMembers } from "./native/socket-members.ts";
import { OffsetRequests } from "./offset-requests.ts";
import { PlannedChanges } from "./planned-changes.ts";
import { Registration } from "./registration.ts";
import { CLOSE_TIMER, Removal } from "./removal.ts";
import type {
  CommitOffsetsRequest,
  CommitTransactionOffsetsRequest,
  ConsumerGroupHeartbeatAnswer,
  ConsumerGroupHeartbeatRequest,
  DeletedPartition,
  DeliveredPoll,
  FetchedOffset,
  FetchOffsetsRequest,
  GroupDescription,
  GroupRpc,
  GroupSummary,
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResult,
  LeavingMember,
  LeftMember,
  OffsetsPage,
  OffsetsPageRequest,
  OffsetsToDelete,
  PollAnswer,
  PollRequest,
  SyncedGroup,
  SyncGroupRequest,
} from "./rpc.ts";
import { Sessions } from "./sessions.ts";
import type { GroupContext, GroupSettings } from "./settings.ts";
import { Timers } from "./timers.ts";
import type { TransactionRequestsContext } from "./transaction-requests.ts";

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
  readonly joinTransaction: TransactionRequestsContext["joinTransaction"];
  readonly sockets: MemberSockets;
  readonly topics: TopicLookUp & {
    /** Those of these topics that exist. */
    existingTopics(topicIds: readonly TopicId[]): Promise<TopicId[]>;
  };
}

export class Coordinator implements GroupRpc {
  readonly timers: Timers;
  /** Members that hold a WebSocket. */
  readonly sockets: SocketMembers;
  readonly #polls: PollMembers;
  readonly #current: CurrentGroup;
  readonly #around: CoordinatorSurroundings;
  readonly #store: GroupStore;
  readonly #offsets: GroupOffsets;
  readonly #offsetRequests: OffsetRequests;
  readonly #classic: ClassicRequests;
  readonly #heartbeats: ConsumerHeartbeats;
  readonly #registration: Registration;
  readonly #removal: Removal;
  readonly #context: GroupContext;
  readonly #topics: TopicDirectory;
  readonly #plans: PlannedChanges;

  constructor(groupId: string, around: CoordinatorSurroundings) {
    this.#current = new CurrentGroup(groupId);
    this.#around = around;
    const { storage, clock, settings } = around;
    this.timers = new Timers((atMs) => storage.setAlarm(atMs));
    this.#store = new GroupStore(storage);
    this.#topics = new TopicDirectory(around.topics, clock);
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
    this.#classic = new ClassicRequests({
      current: this.#current,
      context: this.#context,
      plans: this.#plans,
      change: (change) => this.#change(change),
    });
    this.#heartbeats = new ConsumerHeartbeats(this.#current, this.#context, this.#plans);
    this.#offsets = new GroupOffsets(storage, this.#context);
    this.#offsetRequests = new OffsetRequests({
      current: this.#current,
      context: this.#context,
      storage,
      store: this.#store,
      offsets: this.#offsets,
      registration: this.#registration,
      change: (change) => this.#change(change),
      joinTransaction: around.joinTransaction,
      existingTopics: (topicIds) => around.topics.existingTopics(topicIds),
    });
    this.#removal = new Removal({
      ...this.#context,
      current: this.#current,
      offsets: this.#offsets,
      registration: this.#registration,
    });
    this.sockets = new SocketMembers({
      sockets: around.sockets,
      clock,
      settings,
      timers: this.timers,
      sessions,
      group: () => this.#current.consumers,
      heartbeat: (request, done) => this.#heartbeats.heartbeat(request, { type: "socket" }, done),
      change: (change) => this.#change(change),
      commit: (request) => this.commitOffsets(request),
      committed: (assignment) => this.#offsets.fetch(topicPartitionsOf(assignment)),
      lookForTopics: (isAsked) => this.#lookForTopics(isAsked),
    });
    this.#polls = new PollMembers({
      newId: around.newId,
      group: () => this.#current.consumers,
      heartbeat: (request, native, done) => this.#heartbeats.heartbeat(request, native, done),
      committed: (assignment) => this.#offsets.fetch(topicPartitionsOf(assignment)),
    });
    this.sockets.restore();
    if (this.#store.exists) storage.transactionSync(() => this.#restore());
  }

  get groupId(): string {
    return this.#current.groupId;
  }

  #restore(): void {
    if (this.#store.isClosing) this.timers.set(CLOSE_TIMER, this.#around.clock.now());
    const stored = this.#store.group();
    if (stored === undefined) return;
    const record = storedGroup(stored);
    this.#current.value =
      record.type === "classic"
        ? new ClassicGroup(this.#context, record)
        : new ConsumerGroup(this.#context, record);
    this.#current.value.restore();
    this.sockets.restored();
    this.#offsets.restore(this.#current.value);
  }

  // ── classic ────────────────────────────────────────────────────────────────────────────────────────────────────────

  joinGroup(request: JoinGroupRequest): Promise<JoinGroupResult> {
    return this.#classic.join(request);
  }

  syncGroup(request: SyncGroupRequest): Promise<SyncedGroup | Failure> {
    return this.#classic.sync(request);
  }

  heartbeat(request: HeartbeatRequest): Promise<Failure | null> {
    return this.#classic.heartbeat(request);
  }

  leaveGroup(members: readonly LeavingMember[]): Promise<LeftMember[] | Failure> {
    return this.#classic.leave(members);
  }

  // ── consumer (KIP-848) ─────────────────────────────────────────────────────────────────────────────────────────────

  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure> {
    return this.#heartbeats.heartbeat(request, null);
  }

  poll(request: PollRequest): Promise<PollAnswer | Failure> {
    return this.#polls.poll(request);
  }

  async delivered(poll: DeliveredPoll): Promise<Failure | null> {
    return this.#change(() => this.#polls.delivered(poll));
  }

  async removeMember(memberId: string): Promise<Failure | null> {
    return this.#change(() => {
      const left = this.#current.classicFace?.leave([{ memberId, instanceId: null }])[0];
      return left?.error === null ? null : this.#current.noMember(memberId);
    });
  }

  /** For members that ask for nothing: what has become of their topics. */
  async #lookForTopics(isAsked: boolean): Promise<void> {
    const needs = this.#current.consumers?.membership.subscriptionsWith(NOTHING_NEW);
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
    const problem = this.#current.idProblem();
    if (problem !== undefined) return problem;
    this.#store.confirmUniqueness();
    return this.#current.value?.summary() ?? this.#current.noGroup("GROUP_ID_NOT_FOUND");
  }

  async describe(): Promise<GroupDescription | Failure> {
    const problem = this.#current.idProblem();
    if (problem !== undefined) return problem;
    this.#store.confirmUniqueness();
    return this.#current.value?.describe() ?? this.#current.noGroup("GROUP_ID_NOT_FOUND");
  }

  async deleteGroup(): Promise<Failure | null> {
    const problem = this.#current.idProblem();
    if (problem !== undefined) return problem;
    // Its last session may have ended: alarms can be late.
    if (this.#current.value?.isEmpty === false) await this.runDue();
    const refused = this.#change(() => {
      if (this.#current.value === undefined) return this.#current.noGroup("GROUP_ID_NOT_FOUND");
      if (!this.#current.value.isEmpty)
        return failure("NON_EMPTY_GROUP", `the group has members; ${STOP_MEMBERS}`);
      this.#removal.remove();
      return null;
    });
    if (refused === null) await this.#removal.close();
    return refused;
  }

  // ── offsets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  commitOffsets(request: CommitOffsetsRequest): Promise<CommitResult> {
    return this.#offsetRequests.commit(request);
  }

  commitTransactionOffsets(request: CommitTransactionOffsetsRequest): Promise<CommitResult> {
    return this.#offsetRequests.commitInTransaction(request);
  }

  writeTransactionMarker(outcome: TransactionOutcome): Promise<Failure | null> {
    return this.#offsetRequests.writeMarker(outcome);
  }

  fetchOffsets(request: FetchOffsetsRequest): Promise<FetchedOffset[] | Failure> {
    return this.#offsetRequests.fetch(request);
  }

  offsetsPage(request: OffsetsPageRequest): Promise<OffsetsPage | Failure> {
    return this.#offsetRequests.page(request);
  }

  deleteOffsets(topics: readonly OffsetsToDelete[]): Promise<DeletedPartition[] | Failure> {
    return this.#offsetRequests.delete(topics);
  }

  forgetTopics(topicIds: readonly TopicId[]): Promise<void> {
    return this.#offsetRequests.forgetTopics(topicIds);
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
        if (timer === OFFSETS_TIMER) this.#removal.expire();
        else if (timer === CLOSE_TIMER) isClosing = true;
        else if (timer === SOCKETS_TIMER) {
          this.sockets.look(true);
          looksAround = true;
        } else this.#current.value?.timeIsUp(timer);
      }
    });
    if (looksAround) await this.#lookForTopics(true);
    if (isClosing) await this.#removal.close();
  }

  // ── changes ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #change<T>(change: () => T): T {
    this.#offsetRequests.flush();
    const changed = this.#around.storage.transactionSync(() => {
      const wasEmpty = this.#current.value?.isEmpty ?? false;
      this.sockets.look();
      const result = change();
      // The last member of KIP-848 has gone: the others have their protocol back.
      if (this.#current.consumers?.classic.isSpokenByAll)
        this.#current.value = downgraded(this.#context, this.#current.consumers);
      if (this.#current.consumers !== undefined) this.#settle(this.#current.consumers);
      this.#current.value?.flush();
      if (this.#current.value?.isEmpty === true && !wasEmpty) this.#offsets.schedule(this.#current.value);
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
}

/** As the groups wrote it. */
function storedGroup(json: string): ClassicRecord | ConsumerRecord {
  return JSON.parse(json);
}
