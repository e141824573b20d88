import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../src/env.ts";
import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import { newTopicId, type TopicId } from "../../src/model/ids.ts";
import { ALARM_RETRY_MS } from "../../src/model/limits.ts";
import { parseMemberRequest } from "../../src/subscribe/group-request.ts";
import { refusal } from "../../src/subscribe/refusal.ts";
import { CONTROLLER_NAME } from "../controller/rpc.ts";
import { platformStorage } from "../partition/platform-storage.ts";
import type { Clock } from "../partition/storage.ts";
import type { TransactionOutcome } from "../transaction/rpc.ts";
import { Coordinator } from "./coordinator.ts";
import { GroupStore } from "./group-store.ts";
import { hibernatableMemberSockets } from "./native/member-sockets.ts";
import type {
  CommitOffsetsRequest,
  CommitTransactionOffsetsRequest,
  CommittedPartition,
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
import { groupSettings } from "./settings.ts";

const CLOCK: Clock = { now: () => Date.now() };

/**
 * The Durable Object of one group, under the group's id. A thin shell: RPC methods, sockets and the alarm over plain
 * classes.
 */
export class GroupCoordinator extends DurableObject<Env> implements GroupRpc {
  readonly #coordinator: Coordinator;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const storage = platformStorage(ctx);
    const groupId = ctx.id.name ?? new GroupStore(storage).name() ?? "";
    const controller = () => env.CONTROLLER.get(env.CONTROLLER.idFromName(CONTROLLER_NAME));
    this.#coordinator = new Coordinator(groupId, {
      storage,
      clock: CLOCK,
      settings: groupSettings(env),
      newId: newTopicId,
      openGroup: (opened) => controller().openGroup(opened),
      closeGroup: (closed) => controller().closeGroup(closed),
      joinTransaction: (transactionalId, request) =>
        env.TRANSACTION.get(env.TRANSACTION.idFromName(transactionalId)).join(request),
      sockets: hibernatableMemberSockets(ctx),
      topics: {
        topicsVersion: () => controller().topicsVersion(),
        topicsNamed: (names) => controller().topicsNamed(names),
        listTopics: (request) => controller().listTopics(request),
        existingTopics: (topicIds) => controller().existingTopics(topicIds),
      },
    });
    // A run that was due when the object died is due still.
    void ctx.blockConcurrencyWhile(async () => {
      this.#coordinator.timers.rearm(await ctx.storage.getAlarm());
    });
  }

  joinGroup(request: JoinGroupRequest): Promise<JoinGroupResult> {
    return this.#coordinator.joinGroup(request);
  }

  syncGroup(request: SyncGroupRequest): Promise<SyncedGroup | Failure> {
    return this.#coordinator.syncGroup(request);
  }

  heartbeat(request: HeartbeatRequest): Promise<Failure | null> {
    return this.#coordinator.heartbeat(request);
  }

  leaveGroup(members: readonly LeavingMember[]): Promise<LeftMember[] | Failure> {
    return this.#coordinator.leaveGroup(members);
  }

  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure> {
    return this.#coordinator.consumerGroupHeartbeat(request);
  }

  poll(request: PollRequest): Promise<PollAnswer | Failure> {
    return this.#coordinator.poll(request);
  }

  delivered(poll: DeliveredPoll): Promise<Failure | null> {
    return this.#coordinator.delivered(poll);
  }

  removeMember(memberId: string): Promise<Failure | null> {
    return this.#coordinator.removeMember(memberId);
  }

  /** WebSockets only, of members: see src/subscribe/group-request.ts. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refusal(failure("UPGRADE_REQUIRED"));
    }
    const accepted = this.#coordinator.sockets.accept(parseMemberRequest(request));
    return isFailure(accepted) ? refusal(accepted) : accepted;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    return this.#coordinator.sockets.message(socket, message);
  }

  override webSocketClose(socket: WebSocket): void {
    this.#coordinator.sockets.closed(socket);
  }

  override webSocketError(socket: WebSocket): void {
    this.#coordinator.sockets.closed(socket);
  }

  summary(): Promise<GroupSummary | Failure> {
    return this.#coordinator.summary();
  }

  describe(): Promise<GroupDescription | Failure> {
    return this.#coordinator.describe();
  }

  commitOffsets(request: CommitOffsetsRequest): Promise<CommittedPartition[] | Failure> {
    return this.#coordinator.commitOffsets(request);
  }

  commitTransactionOffsets(
    request: CommitTransactionOffsetsRequest,
  ): Promise<CommittedPartition[] | Failure> {
    return this.#coordinator.commitTransactionOffsets(request);
  }

  writeTransactionMarker(outcome: TransactionOutcome): Promise<Failure | null> {
    return this.#coordinator.writeTransactionMarker(outcome);
  }

  fetchOffsets(request: FetchOffsetsRequest): Promise<FetchedOffset[] | Failure> {
    return this.#coordinator.fetchOffsets(request);
  }

  offsetsPage(request: OffsetsPageRequest): Promise<OffsetsPage | Failure> {
    return this.#coordinator.offsetsPage(request);
  }

  deleteOffsets(topics: readonly OffsetsToDelete[]): Promise<DeletedPartition[] | Failure> {
    return this.#coordinator.deleteOffsets(topics);
  }

  deleteGroup(): Promise<Failure | null> {
    return this.#coordinator.deleteGroup();
  }

  forgetTopics(topicIds: readonly TopicId[]): Promise<void> {
    return this.#coordinator.forgetTopics(topicIds);
  }

  /** Never throws: the platform gives up an alarm that has failed six times. */
  override async alarm(): Promise<void> {
    const retryAtMs = CLOCK.now() + ALARM_RETRY_MS.most;
    void this.ctx.storage.setAlarm(retryAtMs);
    try {
      await this.#coordinator.runDue();
    } catch (error) {
      console.error(`group ${this.#coordinator.groupId}: timers will be looked at again:`, error);
      return;
    }
    const nextMs = this.#coordinator.timers.nextAtMs;
    if (nextMs === undefined) void this.ctx.storage.deleteAlarm();
    this.#coordinator.timers.rearm(null);
  }
}
