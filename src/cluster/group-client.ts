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
} from "../../durable-objects/group/rpc.ts";
import type { TransactionOutcome } from "../../durable-objects/transaction/rpc.ts";
import type { Env } from "../env.ts";
import { type Failure, failure, isFailure } from "../model/errors.ts";
import { groupIdProblem, type TopicId } from "../model/ids.ts";
import { type MemberRequest, memberRequest } from "../subscribe/group-request.ts";
import { callObject } from "./stub-errors.ts";

/**
 * A group's coordinator as front ends call it: an id that no object can have is INVALID_GROUP_ID, an exception of the stub
 * COORDINATOR_NOT_AVAILABLE, which every client retries. What may be done twice is tried twice.
 */
export class GroupClient implements GroupRpc {
  readonly groupId: string;
  readonly #namespace: Env["GROUP"];
  readonly #problem: Failure | undefined;

  constructor(namespace: Env["GROUP"], groupId: string) {
    this.groupId = groupId;
    this.#namespace = namespace;
    const problem = groupIdProblem(groupId);
    this.#problem = problem === undefined ? undefined : failure("INVALID_GROUP_ID", problem);
  }

  async joinGroup(request: JoinGroupRequest): Promise<JoinGroupResult> {
    const result = await this.#call("write", (group) => group.joinGroup(request));
    return isFailure(result) ? { memberId: request.memberId, ...result } : result;
  }

  syncGroup(request: SyncGroupRequest): Promise<SyncedGroup | Failure> {
    return this.#call("write", (group) => group.syncGroup(request));
  }

  heartbeat(request: HeartbeatRequest): Promise<Failure | null> {
    return this.#call("read", (group) => group.heartbeat(request));
  }

  leaveGroup(members: readonly LeavingMember[]): Promise<LeftMember[] | Failure> {
    return this.#call("write", (group) => group.leaveGroup(members));
  }

  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure> {
    return this.#call("write", (group) => group.consumerGroupHeartbeat(request));
  }

  /** Tried twice: a poll that is made again goes on where the first one would have. */
  poll(request: PollRequest): Promise<PollAnswer | Failure> {
    return this.#call("read", (group) => group.poll(request));
  }

  delivered(poll: DeliveredPoll): Promise<Failure | null> {
    return this.#call("read", (group) => group.delivered(poll));
  }

  removeMember(memberId: string): Promise<Failure | null> {
    return this.#call("write", (group) => group.removeMember(memberId));
  }

  summary(): Promise<GroupSummary | Failure> {
    return this.#call("read", (group) => group.summary());
  }

  describe(): Promise<GroupDescription | Failure> {
    return this.#call("read", (group) => group.describe());
  }

  /** Tried twice: to commit the same offsets again changes nothing. */
  commitOffsets(request: CommitOffsetsRequest): Promise<CommittedPartition[] | Failure> {
    return this.#call("read", (group) => group.commitOffsets(request));
  }

  /** Tried twice, as {@link commitOffsets}: the transaction does not end before its producer has the answer. */
  commitTransactionOffsets(
    request: CommitTransactionOffsetsRequest,
  ): Promise<CommittedPartition[] | Failure> {
    return this.#call("read", (group) => group.commitTransactionOffsets(request));
  }

  writeTransactionMarker(outcome: TransactionOutcome): Promise<Failure | null> {
    return this.#call("read", (group) => group.writeTransactionMarker(outcome));
  }

  fetchOffsets(request: FetchOffsetsRequest): Promise<FetchedOffset[] | Failure> {
    return this.#call("read", (group) => group.fetchOffsets(request));
  }

  offsetsPage(request: OffsetsPageRequest): Promise<OffsetsPage | Failure> {
    return this.#call("read", (group) => group.offsetsPage(request));
  }

  deleteOffsets(topics: readonly OffsetsToDelete[]): Promise<DeletedPartition[] | Failure> {
    return this.#call("read", (group) => group.deleteOffsets(topics));
  }

  deleteGroup(): Promise<Failure | null> {
    return this.#call("write", (group) => group.deleteGroup());
  }

  async forgetTopics(topicIds: readonly TopicId[]): Promise<void> {
    await this.#call("read", (group) => group.forgetTopics(topicIds));
  }

  /** The upgrade of a member's WebSocket, as it comes from the coordinator, or its refusal. */
  subscribe(request: MemberRequest): Promise<Response | Failure> {
    if (this.#problem !== undefined) return Promise.resolve(this.#problem);
    const coordinator = this.#namespace.get(this.#namespace.idFromName(this.groupId));
    return this.#retriable("write", () => coordinator.fetch(memberRequest(request)));
  }

  async #call<T>(kind: "read" | "write", method: (group: GroupRpc) => Promise<T>): Promise<T | Failure> {
    if (this.#problem !== undefined) return this.#problem;
    const id = this.#namespace.idFromName(this.groupId);
    return this.#retriable(kind, () => method(this.#namespace.get(id)));
  }

  async #retriable<T>(kind: "read" | "write", makeCall: () => Promise<T>): Promise<T | Failure> {
    const object = `the coordinator of group ${JSON.stringify(this.groupId)}`;
    const result = await callObject(object, kind, makeCall);
    if (!isFailure(result) || result.error !== "KAFKA_STORAGE_ERROR") return result;
    return failure("COORDINATOR_NOT_AVAILABLE", result.message);
  }
}
