import { isFailure } from "../../src/model/errors.ts";
import { GROUP_SOCKET_GRACE_MS, GROUP_SOCKET_PING_MS } from "../../src/model/limits.ts";
import {
  type AssignmentMessage,
  type CoordinatorMessage,
  encodeMemberMessage,
  type MemberMessage,
  parseCoordinatorMessage,
} from "../../src/subscribe/group-protocol.ts";
import type { Owner } from "./classic-client.ts";
import { type ConsumerWitness, parsePartition, type Subscription } from "./consumer-client.ts";
import type { GroupWorld } from "./group-world.ts";
import type { SimulatedSocket } from "./simulated-sockets.ts";

const REBALANCE_TIMEOUT_MS = 60_000;

interface Commit {
  readonly partition: string;
  readonly offset: number;
}

/**
 * A member with a socket as clients of the native protocol behave: reads what it is assigned from where its group has come
 * to, commits, gives up what it is told to before it says so, and goes on with what it has when its socket broke, for as
 * long as its membership lasts. The test moves it step by step.
 */
export class NativeClient implements Owner {
  memberId = "";
  readonly #world: GroupWorld;
  readonly #witness: ConsumerWitness;
  readonly #instanceId: string | null;
  #subscription: Subscription;
  #socket: SimulatedSocket | undefined;
  #isJoined = false;
  #epoch = 0;
  #lostAtMs = 0;
  /** When it was a member for certain, the last time, and how long it may have been one since. */
  #sure = { atMs: 0, forMs: GROUP_SOCKET_GRACE_MS };
  /** `topicId/partition` → position. */
  readonly #positions = new Map<string, number>();
  #isListing = new Set<string>();
  #isFirst = false;
  /** To be given up when what is being done with it is finished. */
  #doomed: { readonly epoch: number; readonly partitions: string[]; readonly sinceMs: number } | undefined;
  readonly #commits = new Map<number, readonly Commit[]>();
  #commitIds = 0;
  pausedUntilMs = 0;
  isDead = false;

  constructor(
    world: GroupWorld,
    witness: ConsumerWitness,
    instanceId: string | null,
    subscription: Subscription,
  ) {
    this.#world = world;
    this.#witness = witness;
    this.#instanceId = instanceId;
    this.#subscription = subscription;
  }

  get lastHeardMs(): number {
    return this.#isInTouch ? this.#world.nowMs : this.#sure.atMs;
  }

  get sessionTimeoutMs(): number {
    return this.#sure.forMs;
  }

  get #isInTouch(): boolean {
    return this.#isJoined && this.#socket !== undefined && !this.#socket.isDeaf;
  }

  get instanceId(): string | null {
    return this.#instanceId;
  }

  get owned(): readonly string[] {
    return [...this.#positions.keys()];
  }

  get subscription(): Subscription {
    return this.#subscription;
  }

  subscribe(subscription: Subscription): void {
    this.#subscription = subscription;
    if (this.#isJoined) this.#join();
  }

  /** Its process ends: nobody says goodbye. */
  die(): void {
    this.isDead = true;
    this.#release(this.owned);
    this.breakSocket();
  }

  leave(): void {
    if (this.isDead || !this.#isJoined) return;
    this.isDead = true;
    this.#release(this.owned);
    this.#send({ type: "leave" });
    this.#socket = undefined;
  }

  breakSocket(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#lost();
    this.#world.breakSocket(socket);
  }

  /** Nothing gets through any more, and neither side has noticed. */
  deafen(): void {
    if (this.#socket === undefined || this.#socket.isDeaf) return;
    const { nowMs } = this.#world;
    // Who hears nothing does not hear either that it is to give something up.
    if (this.#isJoined) this.#sure = { atMs: this.#doomed?.sinceMs ?? nowMs, forMs: REBALANCE_TIMEOUT_MS };
    this.#socket.deafSinceMs = nowMs;
  }

  step(): void {
    if (this.isDead) return;
    const { nowMs } = this.#world;
    // It stops by itself when it can be a member no more, whatever else it is doing.
    const isWithout = this.#socket === undefined && nowMs - this.#lostAtMs >= GROUP_SOCKET_GRACE_MS;
    if (isWithout && this.owned.length > 0) this.#fenced();
    if (nowMs < this.pausedUntilMs) return;
    if (this.#socket === undefined) {
      this.#connect();
      return;
    }
    // No pong comes.
    if (nowMs - (this.#socket.deafSinceMs ?? nowMs) >= 3 * GROUP_SOCKET_PING_MS) this.breakSocket();
    if (this.#doomed !== undefined && this.#witness.isQuick()) this.#giveUp();
    else if (this.#isJoined) this.#commit(this.owned);
  }

  #connect(): void {
    const socket = this.#world.connect();
    if (socket === undefined) return;
    this.#socket = socket;
    socket.onMessage = (text) => {
      if (this.#socket === socket) this.#received(text);
    };
    socket.onClose = (_, reason) => {
      if (this.#socket === socket) this.#closed(reason);
    };
    this.#join();
  }

  #join(): void {
    const { names, regex } = this.#subscription;
    this.#send({
      type: "join",
      topics: names,
      rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
      ...(regex !== "" && { topic_pattern: regex }),
      ...(this.memberId !== "" && { member_id: this.memberId }),
      ...(this.#epoch > 0 && { member_epoch: this.#epoch }),
      ...(this.#instanceId !== null && { instance_id: this.#instanceId }),
    });
  }

  #received(text: string): void {
    if (this.isDead) return;
    const message: CoordinatorMessage | undefined | ReturnType<typeof parseCoordinatorMessage> =
      parseCoordinatorMessage(text);
    if (message === undefined || isFailure(message)) {
      this.#witness.failed(new Error(`not a message: ${text}`));
    } else if (message.type === "joined") {
      if (message.resumed !== this.#epoch > 0) this.#witness.failed(new Error("resumed, or did not"));
      this.memberId = message.member_id;
      this.#epoch = message.member_epoch;
      this.#isJoined = true;
      this.#doomed = undefined;
      this.#isListing = new Set();
      this.#isFirst = true;
    } else if (message.type === "assignment") this.#assigned(message);
    else if (message.type === "committed") {
      for (const { partition, offset } of this.#commits.get(message.id) ?? []) {
        if (message.error !== undefined) break;
        const isRefused = message.errors?.some(
          (error) => `${error.topic_id}/${error.partition}` === partition,
        );
        // Given up since, but committed before that.
        if (isRefused !== true) this.#witness.committed(partition, offset);
      }
      this.#commits.delete(message.id);
    } else if (message.type === "error") {
      const { code } = message.error;
      if (code === "INVALID_REQUEST") this.#witness.failed(new Error(message.error.message));
    }
  }

  #assigned({ member_epoch, assigned, revoke, more }: AssignmentMessage): void {
    this.#epoch = Math.max(this.#epoch, member_epoch);
    const key = ({ topic_id, partition }: { topic_id: string; partition: number }) =>
      `${topic_id}/${partition}`;
    for (const partition of assigned) {
      this.#isListing.add(key(partition));
      if (this.#positions.has(key(partition))) continue;
      this.#witness.acquires(this, key(partition));
      this.#witness.starts(key(partition), partition.offset ?? 0);
      this.#positions.set(key(partition), partition.offset ?? 0);
    }
    for (const partition of revoke) this.#isListing.add(key(partition));
    if (revoke.length > 0) {
      this.#doomed = {
        epoch: member_epoch,
        partitions: revoke.map(key),
        sinceMs: this.#world.nowMs,
      };
    }
    if (more || !this.#isFirst) return;
    this.#isFirst = false;
    const lost = this.owned.filter((partition) => !this.#isListing.has(partition));
    if (lost.length > 0) this.#witness.failed(new Error(`${lost.join()} were not told of again`));
  }

  #giveUp(): void {
    if (this.#doomed === undefined || !this.#isJoined) return;
    const { epoch, partitions } = this.#doomed;
    this.#commit(partitions.filter((partition) => this.#positions.has(partition)));
    this.#release(partitions);
    this.#doomed = undefined;
    this.#send({ type: "revoked", member_epoch: epoch });
  }

  #commit(partitions: readonly string[]): void {
    if (partitions.length === 0 || this.#commits.size > 3) return;
    const commits = partitions.map((partition) => {
      const offset = (this.#positions.get(partition) ?? 0) + 1;
      this.#positions.set(partition, offset);
      return { partition, offset };
    });
    const id = ++this.#commitIds;
    this.#commits.set(id, commits);
    this.#send({
      type: "commit",
      id,
      offsets: commits.map(({ partition, offset }) => {
        const { topicId, index } = parsePartition(partition);
        return { topic_id: topicId, partition: index, offset };
      }),
    });
  }

  #send(message: MemberMessage): void {
    if (this.#socket !== undefined) this.#world.sendTo(this.#socket, encodeMemberMessage(message));
  }

  #closed(reason: string): void {
    this.#lost();
    if (["FENCED_MEMBER_EPOCH", "UNKNOWN_MEMBER_ID"].includes(reason)) this.#fenced();
    if (reason === "FENCED_INSTANCE_ID") this.die();
  }

  #lost(): void {
    const atMs = this.#isInTouch
      ? this.#world.nowMs
      : Math.min(this.#sure.atMs + this.#sure.forMs - GROUP_SOCKET_GRACE_MS, this.#world.nowMs);
    this.#sure = { atMs, forMs: GROUP_SOCKET_GRACE_MS };
    this.#socket = undefined;
    this.#isJoined = false;
    this.#commits.clear();
    this.#lostAtMs = this.#world.nowMs;
  }

  /** It is a member no more, or does not know. */
  #fenced(): void {
    this.#release(this.owned);
    this.#epoch = 0;
    this.#doomed = undefined;
    this.memberId = "";
  }

  #release(partitions: readonly string[]): void {
    for (const partition of partitions) {
      if (this.#positions.delete(partition)) this.#witness.releases(this, partition);
    }
  }
}
