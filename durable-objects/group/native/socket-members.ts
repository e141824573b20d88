/**
 * Members whose liveness is a WebSocket that hibernates: they are members of the same machine as those of KIP-848, and are
 * told by the coordinator when there is something to tell instead of asking for it. A member keeps its membership for a
 * grace when its socket breaks; what outlives this object is in the members' rows and the sockets' attachments.
 *
 * What a member has been told is what is stored: both happen in one turn, and the output gate holds what is sent until the
 * change is durable. So a coordinator that wakes needs to tell nobody anything.
 */

import { type ErrorName, type Failure, failure, isFailure } from "../../../src/model/errors.ts";
import { GROUP_SOCKET_JOIN_MS_MAX, GROUP_SOCKETS_MAX } from "../../../src/model/limits.ts";
import {
  CLOSE_FENCED,
  type CommitErrorMessage,
  type CommitMessage,
  type CoordinatorMessage,
  encodeCoordinatorMessage,
  errorText,
  type JoinMessage,
  parseMemberMessage,
} from "../../../src/subscribe/group-protocol.ts";
import type { MemberRequest } from "../../../src/subscribe/group-request.ts";
import { closeCodeOf } from "../../../src/subscribe/protocol.ts";
import type { Clock } from "../../partition/storage.ts";
import { type Assignment, membership, union } from "../consumer/assignment.ts";
import type { ConsumerGroup } from "../consumer/consumer-group.ts";
import type { ConsumerMember } from "../consumer/consumer-member.ts";
import type { TopicSnapshot } from "../consumer/topic-directory.ts";
import {
  type CommitOffsetsRequest,
  type CommittedOffset,
  type CommittedPartition,
  type ConsumerGroupHeartbeatAnswer,
  type ConsumerGroupHeartbeatRequest,
  JOIN_EPOCH,
} from "../rpc.ts";
import type { Sessions } from "../sessions.ts";
import type { GroupSettings } from "../settings.ts";
import type { Timers } from "../timers.ts";
import { Connection } from "./connection.ts";
import { joinHeartbeat, leaveHeartbeat } from "./member-heartbeats.ts";
import { newsFor } from "./member-news.ts";
import type { MemberSocket, MemberSockets } from "./member-sockets.ts";

/** Looks after the sockets when nothing else wakes the coordinator. */
export const SOCKETS_TIMER = "sockets";

/** What these members need of the coordinator. */
export interface SocketMembersContext {
  readonly sockets: MemberSockets;
  readonly clock: Clock;
  readonly settings: GroupSettings;
  readonly timers: Timers;
  readonly sessions: Sessions;
  /** The group as it is now, if its partitions are assigned here. */
  group(): ConsumerGroup | undefined;
  /** A heartbeat of such a member; `done` in the turn in which it has been heard. */
  heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    done: (answer: ConsumerGroupHeartbeatAnswer) => void,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure>;
  change<T>(change: () => T): T;
  commit(request: CommitOffsetsRequest): Promise<CommittedPartition[] | Failure>;
  committed(assignment: Assignment): CommittedOffset[];
  /** Asks whether topics have come, gone or grown; `isAsked`: however short ago that has been asked. */
  lookForTopics(isAsked: boolean): Promise<void>;
}

export class SocketMembers {
  readonly #context: SocketMembersContext;
  readonly #connections = new Map<MemberSocket, Connection>();
  readonly #byMember = new Map<string, Connection>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** The membership that everyone has been told of. */
  #toldRevision: number | undefined;

  constructor(context: SocketMembersContext) {
    this.#context = context;
  }

  /** The coordinator has woken, and its group is not restored yet. */
  restore(): void {
    for (const { socket } of this.#context.sockets.open()) {
      const connection = Connection.restore(socket);
      if (connection === undefined) continue;
      this.#connections.set(socket, connection);
      if (connection.memberId !== "") this.#byMember.set(connection.memberId, connection);
    }
    if (this.hasMembers) this.#lookLater();
  }

  /** The group is restored, too. */
  restored(): void {
    const group = this.#context.group();
    for (const [memberId, connection] of this.#byMember) {
      connection.told = group?.membership.get(memberId);
    }
  }

  get hasMembers(): boolean {
    return this.#byMember.size > 0;
  }

  isConnected(memberId: string): boolean {
    return this.#byMember.has(memberId);
  }

  // ── sockets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** THROTTLING_QUOTA_EXCEEDED */
  accept({ subprotocol, clientHost }: MemberRequest): Response | Failure {
    if (this.#connections.size >= GROUP_SOCKETS_MAX) {
      const message = `The group has ${GROUP_SOCKETS_MAX} sockets, which is the most it takes; retry later.`;
      return failure("THROTTLING_QUOTA_EXCEEDED", message);
    }
    const { socket, response } = this.#context.sockets.upgrade(subprotocol);
    this.#connections.set(socket, Connection.begin(socket, clientHost, this.#context.clock.now()));
    return response;
  }

  async message(socket: MemberSocket, data: string | ArrayBuffer): Promise<void> {
    const connection = this.#connections.get(socket);
    // A closed one may still have had a message under way.
    if (connection === undefined) return;
    connection.heard(this.#context.clock.now());
    const message = parseMemberMessage(data);
    if (isFailure(message)) this.#end(connection, message);
    else if (message.type === "join") await this.#join(connection, message);
    else if (connection.memberId === "") this.#end(connection, NOT_JOINED);
    else if (message.type === "revoked") this.#revoked(connection.memberId, message.member_epoch);
    else if (message.type === "commit") await this.#commit(connection, message);
    else if (message.type === "leave") await this.#leave(connection);
    await this.#context.lookForTopics(!isFailure(message) && message.type === "refresh");
  }

  /** It is closed, or broken: its member may come back for a while. */
  closed(socket: MemberSocket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    // The platform leaves the other half of the closing handshake to us.
    connection.close(1000, "");
    this.#context.change(() => this.#lose(connection));
  }

  /** Inside a change: sockets that have been silent for too long are taken for broken. */
  look(isDue = false): void {
    const { clock, settings, sockets } = this.#context;
    const nowMs = clock.now();
    const sinceMs = nowMs - this.#lookedAtMs;
    if (this.#connections.size === 0 || (!isDue && sinceMs >= 0 && sinceMs < settings.socketLookMs.awake))
      return;
    this.#lookedAtMs = nowMs;
    const open = new Map(sockets.open().map(({ socket, pingedAtMs }) => [socket, pingedAtMs]));
    for (const connection of [...this.#connections.values()]) {
      const { socket, memberId, openedAtMs, heardAtMs } = connection;
      const isLate = memberId === "" && nowMs - openedAtMs >= GROUP_SOCKET_JOIN_MS_MAX;
      const silentMs = nowMs - Math.max(heardAtMs, open.get(socket) ?? 0);
      if (open.has(socket) && !isLate && silentMs < settings.socketSilenceMs) continue;
      connection.close(closeCodeOf("REQUEST_TIMED_OUT"), "REQUEST_TIMED_OUT");
      this.#lose(connection);
    }
    if (this.hasMembers) this.#lookLater();
  }

  #lookLater(): void {
    const { timers, clock, settings } = this.#context;
    if (timers.isSet(SOCKETS_TIMER)) return;
    timers.set(SOCKETS_TIMER, clock.now() + settings.socketLookMs.asleep);
  }

  #lose(connection: Connection): void {
    const { memberId } = connection;
    this.#forget(connection);
    const membership = this.#context.group()?.membership;
    const member = membership?.get(memberId);
    if (membership === undefined || member?.native?.type !== "socket" || this.isConnected(memberId)) return;
    this.#context.sessions.lost(memberId, membership.sessionTimeoutMs(member));
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection.socket);
    if (this.#byMember.get(connection.memberId) === connection) this.#byMember.delete(connection.memberId);
  }

  /** The socket has no use any more; the member, if it has one, may come back. */
  #end(connection: Connection, reason: Failure): void {
    this.#refuse(connection, reason);
    this.#context.change(() => this.#lose(connection));
  }

  #refuse(connection: Connection, reason: Failure): void {
    const { error } = reason;
    this.#send(connection, { type: "error", error: errorText(reason) });
    connection.close(NO_MEMBER_ANY_MORE.has(error) ? CLOSE_FENCED : closeCodeOf(error), error);
  }

  // ── messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async #join(connection: Connection, message: JoinMessage): Promise<void> {
    if (connection.isJoining) {
      this.#end(connection, failure("INVALID_REQUEST", "The member is joining already; wait for `joined`."));
      return;
    }
    const own = connection.memberId;
    if (own !== "" && message.member_id !== own) {
      this.#end(connection, failure("INVALID_REQUEST", `This socket is that of member ${own}.`));
      return;
    }
    connection.isJoining = true;
    const request = joinHeartbeat(message, connection.clientHost);
    const answer = await this.#context.heartbeat(request, ({ memberId }) => {
      connection.topics = message.topics ?? [];
      connection.resumes = request.memberEpoch !== JOIN_EPOCH;
      this.#bind(connection, memberId);
    });
    connection.isJoining = false;
    if (isFailure(answer)) this.#end(connection, answer);
  }

  #bind(connection: Connection, memberId: string): void {
    const former = this.#byMember.get(memberId);
    if (former !== undefined && former !== connection) {
      this.#refuse(former, REPLACED);
      this.#forget(former);
    }
    connection.told = undefined;
    // Its socket may have closed while it was joining: it is a member all the same, and may come back.
    if (!this.#connections.has(connection.socket)) return;
    connection.bind(memberId);
    this.#byMember.set(memberId, connection);
    this.#context.sessions.present(memberId);
    this.#toldRevision = undefined;
    this.#lookLater();
  }

  #revoked(memberId: string, epoch: number): void {
    this.#context.change(() => this.#context.group()?.acknowledge(memberId, epoch));
  }

  /** Whose socket it is may commit what it has, at whatever epoch it believes to be: messages come in order. */
  async #commit(connection: Connection, { id, offsets }: CommitMessage): Promise<void> {
    const { memberId } = connection;
    const membershipNow = this.#context.group()?.membership;
    const member = membershipNow?.get(memberId);
    if (membershipNow === undefined || member === undefined) return;
    const has = membership(union(member.assigned, member.revoking));
    const names = membershipNow.topicNames();
    const errors: CommitErrorMessage[] = [];
    const own = offsets.flatMap(({ topic_id, partition, offset, leader_epoch = -1, metadata = "" }) => {
      const topic = names.get(topic_id);
      if (topic !== undefined && has(topic_id, partition)) {
        return { topicId: topic_id, topic, partition, offset, leaderEpoch: leader_epoch, metadata };
      }
      const code = topic === undefined ? "UNKNOWN_TOPIC_ID" : "STALE_MEMBER_EPOCH";
      errors.push({ topic_id, partition, code });
      return [];
    });
    const { instanceId, epoch: generation } = member;
    const committed = await this.#context.commit({
      memberId,
      instanceId,
      generation,
      knowsMemberEpochs: true,
      offsets: own,
    });
    if (isFailure(committed)) {
      this.#send(connection, { type: "committed", id, error: errorText(committed) });
      return;
    }
    for (const { topicId, partition, error } of committed) {
      if (error !== null) errors.push({ topic_id: topicId, partition, code: error });
    }
    this.#send(connection, { type: "committed", id, ...(errors.length > 0 && { errors }) });
  }

  async #leave(connection: Connection): Promise<void> {
    const { memberId, clientHost } = connection;
    const member = this.#context.group()?.membership.get(memberId);
    this.#forget(connection);
    const left = await this.#context.heartbeat(leaveHeartbeat(memberId, member, clientHost), () => {
      if (member !== undefined && member.instanceId !== null) {
        this.#context.sessions.lost(memberId, this.#context.settings.consumerSessionTimeoutMs);
      }
    });
    this.#send(connection, isFailure(left) ? { type: "error", error: errorText(left) } : { type: "left" });
    connection.close(1000, "");
  }

  // ── telling ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Inside a change, at its end, if there are such members: everyone who has a socket is moved on as far as that is possible now. */
  settle(group: ConsumerGroup, topics: TopicSnapshot | undefined): void {
    group.membership.catchUp(false, topics);
    if (group.membership.revision === this.#toldRevision) return;
    for (const memberId of this.#byMember.keys()) group.moveOn(memberId);
  }

  /** After a change, in the same turn: whoever has a socket is told what has become different for it. */
  tell(): void {
    if (!this.hasMembers) return;
    const group = this.#context.group();
    const revision = group?.membership.revision;
    if (revision !== undefined && revision === this.#toldRevision) return;
    this.#toldRevision = revision;
    const members = [...this.#byMember.values()].map((connection) => {
      const member = group?.membership.get(connection.memberId);
      return { connection, member: member?.native?.type === "socket" ? member : undefined };
    });
    // First, because others may get now what these have had.
    for (const { connection, member } of members) {
      if (member !== undefined) continue;
      this.#refuse(connection, FENCED);
      this.#forget(connection);
    }
    for (const { connection, member } of members) {
      if (group !== undefined && member !== undefined) this.#tellOne(group, connection, member);
    }
  }

  #tellOne(group: ConsumerGroup, connection: Connection, member: ConsumerMember): void {
    if (connection.told === member) return;
    const { settings, committed } = this.#context;
    const source = { socketGraceMs: settings.socketGraceMs, committed };
    for (const message of newsFor(group, connection, member, source)) this.#send(connection, message);
    connection.told = member;
  }

  #send(connection: Connection, message: CoordinatorMessage): void {
    connection.send(encodeCoordinatorMessage(message));
  }
}

const NOT_JOINED = failure("INVALID_REQUEST", "This socket is nobody's yet: send `join` first.");
const FENCED = failure(
  "FENCED_MEMBER_EPOCH",
  "the member is one no more: it did not give up in time what it was told to, or was removed; it must give up its partitions and join again",
);
const REPLACED = failure("FENCED_INSTANCE_ID", "the same member has joined over another socket");

const NO_MEMBER_ANY_MORE: ReadonlySet<ErrorName> = new Set([
  "UNKNOWN_MEMBER_ID",
  "FENCED_MEMBER_EPOCH",
  "FENCED_INSTANCE_ID",
]);
