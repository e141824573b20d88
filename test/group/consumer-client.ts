import type { CommitOffsetsRequest, ConsumerGroupHeartbeatRequest } from "../../durable-objects/group/rpc.ts";
import { type Failure, isFailure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT } from "../../src/model/limits.ts";
import type { Owner } from "./classic-client.ts";
import { commitRequest } from "./classic-requests.ts";
import { type GroupCalls, LostObject } from "./group-world.ts";

const HEARTBEAT_MS = 5_000;
const REBALANCE_TIMEOUT_MS = 60_000;
/** Who gives up later than this may be fenced while its session still runs. */
const GIVE_UP_MS_MAX = REBALANCE_TIMEOUT_MS - CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT;

export interface Subscription {
  readonly names: readonly string[];
  readonly regex: string;
}

/** What the clients of a simulated group tell the test, which holds it against what must be. */
export interface ConsumerWitness {
  failed(error: unknown): void;
  /** Whether a client gets something done now that takes its time. */
  isQuick(): boolean;
  acquires(owner: Owner, partition: string): void;
  releases(owner: Owner, partition: string): void;
  starts(partition: string, committed: number): void;
  committed(partition: string, offset: number): void;
}

export function heartbeatRequest(
  request: Partial<ConsumerGroupHeartbeatRequest>,
): ConsumerGroupHeartbeatRequest {
  return {
    clientId: "client",
    clientHost: "/127.0.0.1",
    memberId: "",
    memberEpoch: 0,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: -1,
    subscribedTopicNames: null,
    subscribedTopicRegex: null,
    serverAssignor: null,
    topicPartitions: null,
    ...request,
  };
}

/**
 * A consumer as clients of KIP-848 behave: heartbeats, gives up what it is told to before it says so, takes what it is
 * given, commits ever larger offsets of what it has, and begins again when it is fenced. The test moves it step by step.
 */
export class ConsumerClient implements Owner {
  readonly memberId: string;
  readonly sessionTimeoutMs = CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT;
  readonly #world: GroupCalls;
  readonly #witness: ConsumerWitness;
  readonly #instanceId: string | null;
  #subscription: Subscription;
  #isSubscriptionSent = false;
  /** Of a heartbeat that was not answered nobody knows what came of it: the next one says everything, to be told everything. */
  #saysEverything = false;
  #epoch = 0;
  /** `topicId/partition` → position; undefined: the committed offset is still to be asked for. */
  readonly #positions = new Map<string, number | undefined>();
  /** To be given up when what is being done with it is finished. */
  #doomed: readonly string[] = [];
  #doomedSinceMs = 0;
  #lastCommit: CommitOffsetsRequest | undefined;
  #isBusy = false;
  #nextHeartbeatMs = 0;
  lastHeardMs = 0;
  pausedUntilMs = 0;
  isDead = false;

  constructor(
    world: GroupCalls,
    witness: ConsumerWitness,
    memberId: string,
    instanceId: string | null,
    subscription: Subscription,
  ) {
    this.memberId = memberId;
    this.#world = world;
    this.#witness = witness;
    this.#instanceId = instanceId;
    this.#subscription = subscription;
  }

  get isMember(): boolean {
    return !this.isDead && this.#epoch > 0;
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
    this.#isSubscriptionSent = false;
    this.#nextHeartbeatMs = 0;
  }

  die(): void {
    this.isDead = true;
    this.#release(this.owned);
  }

  step(): void {
    if (this.isDead || this.#isBusy || this.#world.nowMs < this.pausedUntilMs) return;
    const isDue = this.#epoch === 0 || this.#world.nowMs >= this.#nextHeartbeatMs;
    this.#isBusy = true;
    const work = isDue ? this.#heartbeat() : this.#commit();
    work
      .catch((error: unknown) => {
        if (!(error instanceof LostObject)) this.#witness.failed(error);
      })
      .finally(() => {
        this.#isBusy = false;
      });
  }

  /** A static member may leave for a while, and keeps its partitions. */
  async leave(): Promise<void> {
    if (this.isDead || this.#isBusy || this.#epoch === 0) return;
    this.die();
    const request = heartbeatRequest({
      memberId: this.memberId,
      memberEpoch: this.#instanceId === null ? -1 : -2,
      instanceId: this.#instanceId,
    });
    await this.#world.call((group) => group.consumerGroupHeartbeat(request)).catch(() => undefined);
  }

  async #heartbeat(): Promise<void> {
    const isLate = this.#world.nowMs - this.#doomedSinceMs >= GIVE_UP_MS_MAX;
    if (this.#doomed.length > 0 && (isLate || this.#witness.isQuick())) this.#release(this.#doomed);
    const isJoining = this.#epoch === 0;
    const isFull = isJoining || this.#saysEverything;
    const isNews = isFull || !this.#isSubscriptionSent;
    const subscription = this.#subscription;
    const begunAtMs = this.#world.nowMs;
    const request = heartbeatRequest({
      memberId: this.memberId,
      memberEpoch: this.#epoch,
      instanceId: this.#instanceId,
      rebalanceTimeoutMs: isFull ? REBALANCE_TIMEOUT_MS : -1,
      subscribedTopicNames: isNews ? subscription.names : null,
      subscribedTopicRegex: isNews ? subscription.regex : null,
      topicPartitions: this.#ownedPartitions(),
    });
    this.#saysEverything = true;
    const answer = await this.#world.call((group) => group.consumerGroupHeartbeat(request));
    this.#saysEverything = false;
    if (this.isDead) return;
    if (isFailure(answer)) {
      this.#recover(answer);
      return;
    }
    this.lastHeardMs = begunAtMs;
    this.#epoch = answer.memberEpoch;
    this.#isSubscriptionSent = subscription === this.#subscription;
    this.#nextHeartbeatMs = this.#world.nowMs + HEARTBEAT_MS;
    if (answer.assignment === null) return;
    const assigned = new Set(
      answer.assignment.flatMap(({ topicId, partitions }) =>
        partitions.map((partition) => `${topicId}/${partition}`),
      ),
    );
    const hadDoomed = this.#doomed.length > 0;
    this.#doomed = this.owned.filter((partition) => !assigned.has(partition));
    if (!hadDoomed) this.#doomedSinceMs = begunAtMs;
    if (this.#doomed.length > 0) this.#nextHeartbeatMs = this.#world.nowMs + 1_000;
    for (const partition of assigned) {
      if (this.#positions.has(partition)) continue;
      this.#witness.acquires(this, partition);
      this.#positions.set(partition, undefined);
    }
  }

  async #start(partition: string): Promise<void> {
    const { topicId, index } = parsePartition(partition);
    const topics = [{ topicId, partitions: [index] }];
    const fetched = await this.#world.call((group) =>
      group.fetchOffsets({ memberId: null, memberEpoch: -1, topics }),
    );
    if (isFailure(fetched)) throw new Error(`offsets were refused: ${fetched.message}`);
    const offset = fetched[0]?.offset ?? 0;
    if (!this.#positions.has(partition)) return;
    this.#witness.starts(partition, offset);
    this.#positions.set(partition, offset);
  }

  async #commit(): Promise<void> {
    for (const [partition, position] of this.#positions) {
      if (position === undefined) await this.#start(partition);
    }
    const offsets = [...this.#positions].flatMap(([partition, position]) => {
      const { topicId, index } = parsePartition(partition);
      return position === undefined
        ? []
        : { topicId, topic: topicId, partition: index, offset: position + 1 };
    });
    const identity = { memberId: this.memberId, instanceId: this.#instanceId, generation: this.#epoch };
    // A commit of an earlier epoch that was long on its way.
    const late = this.#lastCommit;
    if (late !== undefined && late.generation < this.#epoch) {
      const answer = await this.#world.call((group) => group.commitOffsets(late));
      // What it has had since then is still its own (KIP-1251).
      if (!isFailure(answer)) {
        for (const { topicId, partition, offset } of late.offsets) {
          const key = `${topicId}/${partition}`;
          if (!this.#positions.has(key))
            throw new Error(`a commit of epoch ${late.generation} came through for ${key}`);
          this.#witness.committed(key, offset);
        }
      }
    }
    const request = commitRequest(identity, ...offsets);
    if (offsets.length > 0) this.#lastCommit = request;
    const committed = await this.#world.call((group) => group.commitOffsets(request));
    if (isFailure(committed)) {
      // Of another epoch: the next heartbeat will tell.
      this.#nextHeartbeatMs = this.#world.nowMs;
      return;
    }
    for (const { topicId, partition, offset } of offsets) {
      const key = `${topicId}/${partition}`;
      if (this.#positions.has(key)) this.#positions.set(key, offset);
      this.#witness.committed(key, offset);
    }
  }

  #recover({ error }: Failure): void {
    if (error === "FENCED_INSTANCE_ID") this.die();
    if (error === "FENCED_MEMBER_EPOCH" || error === "UNKNOWN_MEMBER_ID" || error === "FENCED_INSTANCE_ID") {
      this.#release(this.owned);
      this.#epoch = 0;
    }
    if (error === "INVALID_REQUEST") this.#witness.failed(new Error("a heartbeat was invalid"));
  }

  #release(partitions: readonly string[]): void {
    this.#doomed = [];
    for (const partition of partitions) {
      this.#positions.delete(partition);
      this.#witness.releases(this, partition);
    }
  }

  #ownedPartitions(): { topicId: TopicId; partitions: number[] }[] {
    const byTopic = Map.groupBy(this.owned.map(parsePartition), ({ topicId }) => topicId);
    return [...byTopic].map(([topicId, owned]) => ({ topicId, partitions: owned.map(({ index }) => index) }));
  }
}

export function parsePartition(partition: string): { topicId: TopicId; index: number } {
  const [topicId = "", index = ""] = partition.split("/");
  return { topicId, index: Number(index) };
}
