/** Membership of a group: one connection to its coordinator, made again whenever it breaks. */

import { EdgelogError, type ErrorName, type Failure, isFailure } from "../../../model/errors.ts";
import { inTime } from "../../../model/in-time.ts";
import {
  type AssignedMessage,
  type AssignmentMessage,
  type CommittedMessage,
  type CoordinatorMessage,
  encodeMemberMessage,
  type JoinedMessage,
  type MemberMessage,
  type OffsetMessage,
  type PartitionMessage,
  parseCoordinatorMessage,
} from "../../../subscribe/group-protocol.ts";
import { JSON_SUBPROTOCOL } from "../../../subscribe/protocol.ts";
import { type AbortSignalLike, onAbort } from "../../abort.ts";
import type { WebSocketConstructor } from "../../platform.ts";
import { type PromiseParts, withResolvers } from "../../promises.ts";
import { backoffMs, pause } from "../../retry.ts";
import { path, type Transport } from "../../transport.ts";
import { Connection, lost } from "../connection.ts";
import { webSocketTicket } from "../ticket.ts";
import type { GroupSettings } from "./options.ts";

export interface NewAssignment {
  /** To be read from now on. */
  readonly assigned: readonly AssignedMessage[];
  /** To be given up, which {@link Membership.revoked} then says. */
  readonly revoke: readonly PartitionMessage[];
  readonly epoch: number;
  /** These are all that the member has; otherwise those that are not named stay. */
  readonly isFull: boolean;
}

export interface MembershipOptions {
  readonly settings: GroupSettings;
  readonly transport: Transport;
  readonly WebSocket: WebSocketConstructor;
  /** Aborts when the subscription is over. */
  readonly over: AbortSignalLike;
  onAssignment(assignment: NewAssignment): void;
  /** All that it had may be others' now. */
  onLost(): void;
}

/** So long a former self with the same instance id may still be a member. */
const UNRELEASED_MS_MAX = 60_000;
/** So many first handshakes may fail while HTTP works; then something on the way blocks WebSockets. */
const HANDSHAKES_MAX = 10;
/** The coordinator is given so long to answer a leave. */
const LEAVE_MS_MAX = 5_000;
/** It may join again, and everything that it had is gone. */
const FENCED: ReadonlySet<ErrorName> = new Set(["UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH"]);

interface Ended {
  readonly opened: boolean;
  readonly joined: boolean;
  readonly reason: EdgelogError;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #unreleasedUntilMs = Date.now() + UNRELEASED_MS_MAX;
  /** Sent, and not answered yet. */
  readonly #commits = new Map<number, PromiseParts<CommittedMessage>>();
  #commitIds = 0;
  #connection: Connection | undefined;
  #memberId: string | undefined;
  /** 0: there is no membership to go on with. */
  #epoch = 0;
  #graceMs = 0;
  #isJoined = false;
  #hasJoinedBefore = false;
  #hasOpened = false;
  #joining = withResolvers<void>();
  #left: (() => void) | undefined;
  #lostTimer: ReturnType<typeof setTimeout> | undefined;
  /** How many partitions the coordinator knows of, by topic. */
  #topics = new Map<string, number>();
  /** Of an assignment that comes in several messages. */
  #assigned: AssignedMessage[] = [];
  #toRevoke: PartitionMessage[] = [];
  #isFull = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** undefined until it has joined for the first time. */
  get memberId(): string | undefined {
    return this.#memberId;
  }

  /** Whether it may have something that is its own. */
  get isMember(): boolean {
    return this.#epoch > 0;
  }

  /** Resolves when it is a member and connected. */
  joined(): Promise<void> {
    return this.#joining.promise;
  }

  /** Runs until the subscription is over; throws what no reconnecting can cure. */
  async run(): Promise<void> {
    const { settings, over } = this.#options;
    const { reconnectBackoffMs: firstMs, reconnectBackoffMaxMs: maxMs, onDisconnect } = settings.reading;
    let failures = 0;
    while (!over.aborted) {
      const { opened, joined, reason } = await this.#connect();
      if (over.aborted) return;
      failures = joined ? 1 : failures + 1;
      if (FENCED.has(reason.code)) {
        this.#lose();
        // There is nothing to wait for.
        if (joined) continue;
      } else if (!this.#mayRetry(reason)) throw reason;
      onDisconnect?.(reason);
      if (!opened) await this.#checkHandshake(reason, failures);
      await pause(backoffMs({ firstMs, maxMs }, failures), over).catch(() => {});
    }
  }

  #mayRetry(reason: EdgelogError): boolean {
    // The only one that is retriable elsewhere: whoever names a topic that is not there has made a mistake.
    if (reason.code === "UNKNOWN_TOPIC_OR_PARTITION") return false;
    if (reason.code === "UNRELEASED_INSTANCE_ID") return Date.now() < this.#unreleasedUntilMs;
    return reason.retriable;
  }

  /** `id` comes back with the answer. Rejects if the connection is lost before: the commit may have been done. */
  commit(offsets: readonly OffsetMessage[]): Promise<CommittedMessage> {
    if (!this.#isJoined) return Promise.reject(lost("the member is not connected to its coordinator"));
    const id = ++this.#commitIds;
    const parts = withResolvers<CommittedMessage>();
    this.#commits.set(id, parts);
    this.#send({ type: "commit", id, offsets });
    return parts.promise;
  }

  /** If the connection is lost, the next one brings the assignment again. */
  revoked(epoch: number): void {
    this.#send({ type: "revoked", member_epoch: epoch });
  }

  /** There may be topics or partitions that the coordinator has not heard of. */
  refresh(): void {
    this.#send({ type: "refresh" });
  }

  /** The coordinator sleeps while nothing happens: it is told when a topic has not as many partitions as it knows of. */
  heardOf(topic: string, partitions: number): void {
    if (!this.#isJoined || this.#topics.get(topic) === partitions) return;
    this.#topics.set(topic, partitions);
    this.refresh();
  }

  /** Resolves when the coordinator knows, or will not be told: it then finds out by itself. */
  async leave(): Promise<void> {
    if (!this.#isJoined || this.#connection === undefined) return;
    const { ended } = this.#connection;
    const left = new Promise<void>((resolve) => {
      this.#left = resolve;
    });
    this.#send({ type: "leave" });
    await inTime(Promise.race([left, ended]), LEAVE_MS_MAX, () => undefined);
    this.#epoch = 0;
  }

  #send(message: MemberMessage): void {
    if (this.#isJoined) this.#connection?.send(encodeMemberMessage(message));
  }

  // ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────────

  async #connect(): Promise<Ended> {
    const { settings, transport, WebSocket, over } = this.#options;
    const { connectTimeoutMs, pingIntervalMs } = settings.reading;
    let ticket: string | undefined;
    try {
      ticket = await webSocketTicket(transport, over);
    } catch (error) {
      const reason = error instanceof EdgelogError ? error : lost(String(error));
      return { opened: true, joined: false, reason };
    }
    if (over.aborted) return { opened: false, joined: false, reason: lost("the subscription is over") };
    const connection = new Connection({
      url: transport.webSocketUrl({ path: this.#path, query: { ticket } }),
      subprotocol: JSON_SUBPROTOCOL,
      WebSocket,
      connectTimeoutMs,
      pingIntervalMs,
      onOpen: () => this.#join(connection),
      onData: (data) => this.#received(connection, data),
    });
    this.#connection = connection;
    const stop = onAbort(over, () => connection.drop(lost("the subscription is over")));
    const { opened, reason } = await connection.ended;
    stop();
    const joined = this.#isJoined;
    this.#disconnected(reason);
    return { opened, joined, reason };
  }

  get #path(): string {
    return path`/v1/groups/${this.#options.settings.group}/subscribe`;
  }

  #join(connection: Connection): void {
    const { topics, topicPattern, groupInstanceId, assignor, clientId, rebalanceTimeoutMs } =
      this.#options.settings;
    this.#hasOpened = true;
    connection.send(
      encodeMemberMessage({
        type: "join",
        topics,
        client_id: clientId,
        rebalance_timeout_ms: rebalanceTimeoutMs,
        ...(topicPattern !== undefined && { topic_pattern: topicPattern }),
        ...(groupInstanceId !== undefined && { instance_id: groupInstanceId }),
        ...(assignor !== undefined && { assignor }),
        // A static member is known by its instance, and gets another id when it begins anew.
        ...(this.#memberId !== undefined &&
          (this.#epoch > 0 || groupInstanceId === undefined) && { member_id: this.#memberId }),
        ...(this.#epoch > 0 && { member_epoch: this.#epoch }),
      }),
    );
  }

  #disconnected(reason: EdgelogError): void {
    this.#connection = undefined;
    if (this.#isJoined) this.#joining = withResolvers<void>();
    this.#isJoined = false;
    for (const { reject } of this.#commits.values()) reject(reason);
    this.#commits.clear();
    // Others may have its partitions when it does not come back for so long.
    if (this.#epoch > 0) this.#lostTimer ??= setTimeout(() => this.#lose(), this.#graceMs);
  }

  #lose(): void {
    clearTimeout(this.#lostTimer);
    this.#lostTimer = undefined;
    if (this.#epoch === 0) return;
    this.#epoch = 0;
    this.#options.onLost();
  }

  /** A browser does not say why a handshake failed: HTTP does. */
  async #checkHandshake(reason: EdgelogError, failures: number): Promise<void> {
    const { transport, over } = this.#options;
    const answer = await transport.call({ path: this.#path, signal: over }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(answer instanceof EdgelogError) || answer.retriable || over.aborted) return;
    if (answer.code !== "UPGRADE_REQUIRED") throw answer;
    if (this.#hasOpened || failures < HANDSHAKES_MAX) return;
    throw new EdgelogError(
      "BROKER_NOT_AVAILABLE",
      `WebSockets to the cluster fail although HTTP works, ${failures} times in a row; does a proxy block them? (${reason.message})`,
    );
  }

  // ── messages ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #received(connection: Connection, data: unknown): void {
    if (typeof data !== "string") return;
    const message: CoordinatorMessage | undefined | Failure = parseCoordinatorMessage(data);
    if (message === undefined) return;
    if (isFailure(message)) throw EdgelogError.from(message);
    if (message.type === "joined") this.#told(connection, message);
    else if (message.type === "assignment") this.#toldAssignment(message);
    else if (message.type === "committed") {
      this.#commits.get(message.id)?.resolve(message);
      this.#commits.delete(message.id);
    } else if (message.type === "left") this.#left?.();
    else connection.drop(new EdgelogError(message.error.code, message.error.message));
  }

  #told(connection: Connection, { member_id, member_epoch, resumed, topics, grace_ms }: JoinedMessage): void {
    if (!resumed) this.#lose();
    clearTimeout(this.#lostTimer);
    this.#lostTimer = undefined;
    this.#memberId = member_id;
    this.#epoch = member_epoch;
    this.#graceMs = grace_ms;
    this.#isJoined = true;
    this.#isFull = true;
    this.#assigned = [];
    this.#toRevoke = [];
    this.#topics = new Map(Object.entries(topics));
    const unknown = this.#hasJoinedBefore ? undefined : this.#firstUnknown();
    this.#hasJoinedBefore = true;
    if (unknown !== undefined) {
      this.#send({ type: "leave" });
      this.#epoch = 0;
      connection.drop(new EdgelogError("UNKNOWN_TOPIC_OR_PARTITION", `there is no topic ${unknown}`));
      return;
    }
    this.#joining.resolve();
  }

  #firstUnknown(): string | undefined {
    for (const [topic, partitions] of this.#topics) if (partitions === 0) return topic;
    return undefined;
  }

  #toldAssignment({ member_epoch, assigned, revoke, more }: AssignmentMessage): void {
    this.#assigned.push(...assigned);
    this.#toRevoke.push(...revoke);
    if (more) return;
    this.#epoch = member_epoch;
    const whole = {
      assigned: this.#assigned,
      revoke: this.#toRevoke,
      epoch: member_epoch,
      isFull: this.#isFull,
    };
    this.#assigned = [];
    this.#toRevoke = [];
    this.#isFull = false;
    this.#options.onAssignment(whole);
  }
}
