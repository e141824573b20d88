import type { TopicId } from "../../src/model/ids.ts";
import type { Owner, Witness } from "./classic-client.ts";
import type { ConsumerWitness } from "./consumer-client.ts";

/** Holds against one another what the clients are told; each finding is a broken promise. */
export class ConsumerOwnership implements ConsumerWitness {
  readonly #world: { readonly nowMs: number };
  readonly #random: { chance(probability: number): boolean };
  readonly #owners = new Map<string, Owner>();
  readonly acknowledged = new Map<string, number>();
  failure: unknown;

  constructor(world: { readonly nowMs: number }, random: { chance(probability: number): boolean }) {
    this.#world = world;
    this.#random = random;
  }

  isQuick(): boolean {
    return this.#random.chance(0.5);
  }

  failed(error: unknown): void {
    this.failure ??= error;
  }

  acquires(client: Owner, partition: string): void {
    const owner = this.#owners.get(partition);
    // Of a client that has not been heard of for longer than its session nobody knows what it believes.
    const isCurrent = owner !== undefined && this.#world.nowMs - owner.lastHeardMs < owner.sessionTimeoutMs;
    if (owner !== undefined && owner !== client && isCurrent) {
      const silentMs = this.#world.nowMs - owner.lastHeardMs;
      this.failed(
        new Error(
          `${partition} belongs to ${owner.memberId}, heard ${silentMs} ms ago, and to ${client.memberId}`,
        ),
      );
    }
    this.#owners.set(partition, client);
  }

  releases(client: Owner, partition: string): void {
    if (this.#owners.get(partition) === client) this.#owners.delete(partition);
  }

  starts(partition: string, committed: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (committed < least)
      this.failed(new Error(`${partition}: ${least} was committed, ${committed} is left`));
  }

  committed(partition: string, offset: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (offset < least) this.failed(new Error(`${partition} went back from ${least} to ${offset}`));
    this.acknowledged.set(partition, offset);
  }
}

/** The same for clients of the classic protocol, which speak of the partitions of one topic by their numbers. */
export function classicOwnership(
  ownership: ConsumerOwnership,
  topicId: TopicId,
  partitions: number,
): Witness {
  const key = (partition: number) => `${topicId}/${partition}`;
  return {
    partitions,
    generation: 0,
    joined() {},
    owns() {},
    failed: (error) => ownership.failed(error),
    acquires: (owner, partition) => ownership.acquires(owner, key(partition)),
    releases: (owner, partition) => ownership.releases(owner, key(partition)),
    starts: (partition, committed) => ownership.starts(key(partition), committed),
    committed: (partition, offset) => ownership.committed(key(partition), offset),
  };
}
