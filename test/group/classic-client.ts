import type { CommitOffsetsRequest, JoinedGroup } from "../../durable-objects/group/rpc.ts";
import { type Failure, isFailure } from "../../src/model/errors.ts";
import { commitRequest, joinRequest, syncRequest, TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { assignmentBytes, partitionsIn } from "./consumer-protocol.ts";
import { type GroupCalls, LostObject } from "./group-world.ts";

const HEARTBEAT_MS = 3_000;
/** A static member outlives a rebalance that it does not take part in. */
const TIMEOUTS = {
  dynamic: { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 30_000 },
  static: { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 10_000 },
} as const;

/** Whoever believes that it has partitions. */
export interface Owner {
  readonly memberId: string;
  /** When it last knew that the coordinator had heard of it. */
  readonly lastHeardMs: number;
  readonly sessionTimeoutMs: number;
}

/** What the clients of a simulated group tell the test, which holds it against what must be. */
export interface Witness {
  readonly partitions: number;
  /** By a promise that was broken. */
  failed(error: unknown): void;
  /** The last that anyone was told. */
  readonly generation: number;
  joined(generation: number, generationBefore: number): void;
  acquires(owner: Owner, partition: number): void;
  releases(owner: Owner, partition: number): void;
  owns(memberId: string, generation: number, partitions: readonly number[]): void;
  starts(partition: number, committed: number): void;
  committed(partition: number, offset: number): void;
}

/**
 * A consumer as clients of the classic protocol behave: joins, syncs, assigns when it leads, heartbeats, commits ever
 * larger offsets of what it owns, and begins again with whatever an error tells it to. The test moves it step by step.
 */
export class ClassicClient implements Owner {
  readonly #world: GroupCalls;
  readonly #witness: Witness;
  readonly #instanceId: string | null;
  #memberId = "";
  #joined: JoinedGroup | undefined;
  #positions = new Map<number, number>();
  #isBusy = false;
  #lastCommit: CommitOffsetsRequest | undefined;
  #nextHeartbeatMs = 0;
  lastHeardMs = 0;
  /** A paused client does nothing, like one whose machine is suspended. */
  pausedUntilMs = 0;
  isDead = false;

  constructor(world: GroupCalls, witness: Witness, instanceId: string | null) {
    this.#world = world;
    this.#witness = witness;
    this.#instanceId = instanceId;
  }

  get isStable(): boolean {
    return this.#joined !== undefined && !this.#isBusy;
  }

  get owned(): readonly number[] {
    return [...this.#positions.keys()];
  }

  get memberId(): string {
    return this.#memberId;
  }

  get sessionTimeoutMs(): number {
    return this.#timeouts.sessionTimeoutMs;
  }

  get #timeouts() {
    return this.#instanceId === null ? TIMEOUTS.dynamic : TIMEOUTS.static;
  }

  die(): void {
    this.isDead = true;
    this.#release();
  }

  /** Does what is to be done next, if it is not waiting for an answer. */
  step(): void {
    if (this.isDead || this.#isBusy || this.#world.nowMs < this.pausedUntilMs) return;
    this.#isBusy = true;
    const work = this.#joined === undefined ? this.#join() : this.#poll(this.#joined);
    work
      .catch((error: unknown) => {
        if (!(error instanceof LostObject)) this.#witness.failed(error);
      })
      .finally(() => {
        this.#isBusy = false;
      });
  }

  async leave(): Promise<void> {
    const memberId = this.#memberId;
    this.die();
    await this.#world
      .call((group) => group.leaveGroup([{ memberId, instanceId: this.#instanceId }]))
      .catch(() => undefined);
  }

  async #join(): Promise<void> {
    this.#release();
    const begunAtMs = this.#world.nowMs;
    const request = joinRequest({
      memberId: this.#memberId,
      instanceId: this.#instanceId,
      ...this.#timeouts,
    });
    const generationBefore = this.#witness.generation;
    const joined = await this.#world.call((group) => group.joinGroup(request));
    if (isFailure(joined)) {
      this.#memberId = joined.error === "MEMBER_ID_REQUIRED" ? joined.memberId : "";
      if (joined.error === "REBALANCE_IN_PROGRESS") this.#memberId = request.memberId;
      if (joined.error === "FENCED_INSTANCE_ID") this.die();
      return;
    }
    this.#memberId = joined.memberId;
    this.#witness.joined(joined.generation, generationBefore);
    const isLeader = joined.leader === joined.memberId && !joined.skipAssignment;
    const assignments = isLeader ? this.#assign(joined) : [];
    const sync = { ...syncRequest(joined, assignments), instanceId: this.#instanceId };
    const synced = await this.#world.call((group) => group.syncGroup(sync));
    if (isFailure(synced)) return this.#recover(synced);
    if (this.isDead) return;
    this.lastHeardMs = begunAtMs;
    const partitions = partitionsIn(synced.assignment, TOPIC);
    this.#witness.owns(joined.memberId, joined.generation, partitions);
    const fetched = await this.#world.call((group) =>
      group.fetchOffsets({ memberId: null, memberEpoch: -1, topics: [{ topicId: TOPIC_ID, partitions }] }),
    );
    if (isFailure(fetched)) throw new Error(`offsets were refused: ${fetched.message}`);
    if (this.isDead) return;
    for (const partition of partitions) {
      const offset = fetched.find((known) => known.partition === partition)?.offset ?? 0;
      this.#witness.acquires(this, partition);
      this.#witness.starts(partition, offset);
      this.#positions.set(partition, offset);
    }
    // A commit of the last generation that was long on its way.
    const late = this.#lastCommit;
    if (late !== undefined && late.generation < joined.generation) {
      const answer = await this.#world.call((group) => group.commitOffsets(late));
      if (!isFailure(answer)) throw new Error(`a commit of generation ${late.generation} came through`);
    }
    this.#joined = joined;
    this.#nextHeartbeatMs = this.#world.nowMs + HEARTBEAT_MS;
  }

  #assign({ members }: JoinedGroup): (readonly [string, Uint8Array])[] {
    return members.map(({ memberId }, index) => {
      const partitions: number[] = [];
      for (let partition = index; partition < this.#witness.partitions; partition += members.length) {
        partitions.push(partition);
      }
      return [memberId, assignmentBytes(TOPIC, partitions)];
    });
  }

  async #poll(joined: JoinedGroup): Promise<void> {
    const { memberId, generation } = joined;
    const identity = { memberId, generation, instanceId: this.#instanceId };
    const offsets = [...this.#positions].map(([partition, position]) => ({
      partition,
      offset: position + 1,
    }));
    const commit = commitRequest(identity, ...offsets);
    if (offsets.length > 0) this.#lastCommit = commit;
    const committed = await this.#world.call((group) => group.commitOffsets(commit));
    if (isFailure(committed)) {
      if (committed.error !== "REBALANCE_IN_PROGRESS") return this.#recover(committed);
    } else {
      for (const { partition, offset } of offsets) {
        this.#positions.set(partition, offset);
        this.#witness.committed(partition, offset);
      }
    }
    if (this.#world.nowMs < this.#nextHeartbeatMs) return;
    const begunAtMs = this.#world.nowMs;
    this.#nextHeartbeatMs = begunAtMs + HEARTBEAT_MS;
    const refused = await this.#world.call((group) => group.heartbeat(identity));
    if (refused !== null) this.#recover(refused);
    else this.lastHeardMs = begunAtMs;
  }

  #release(): void {
    for (const partition of this.#positions.keys()) this.#witness.releases(this, partition);
    this.#positions.clear();
  }

  #recover({ error }: Failure): void {
    this.#joined = undefined;
    if (error === "FENCED_INSTANCE_ID") this.die();
    if (error === "UNKNOWN_MEMBER_ID") this.#memberId = "";
  }
}
