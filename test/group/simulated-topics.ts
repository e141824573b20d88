/** What simulations of groups share whose members subscribe to several topics: names, patterns, and what comes of them in the end. */

import { expect } from "vitest";
import { ok } from "../cluster/results.ts";
import type { Subscription } from "./consumer-client.ts";
import type { ConsumerOwnership } from "./consumer-ownership.ts";
import type { GroupWorld } from "./group-world.ts";
import type { Random } from "./random.ts";

const ALL_OFFSETS = { memberId: null, memberEpoch: -1, topics: null };

export class SimulatedTopics {
  readonly #world: GroupWorld;
  readonly #random: Random;
  readonly #partitions = new Map([
    ["alpha", 5],
    ["beta", 3],
  ]);

  constructor(world: GroupWorld, random: Random) {
    this.#world = world;
    this.#random = random;
    for (const [name, partitions] of this.#partitions) world.setTopic(name, partitions);
  }

  subscription(): Subscription {
    if (this.#random.chance(0.2)) return { names: [], regex: "[a-z]+-[0-9]" };
    if (this.#random.chance(0.3)) return { names: ["alpha"], regex: "" };
    return { names: ["alpha", "beta", "absent"], regex: this.#random.chance(0.2) ? "gamma.*" : "" };
  }

  /** One comes, or has more partitions. */
  grow(): void {
    const name = this.#random.pick(["alpha", "beta", "gamma-1", "gamma-2", "delta-1"]) ?? "alpha";
    const partitions = Math.min((this.#partitions.get(name) ?? 0) + 1 + this.#random.below(3), 12);
    this.#partitions.set(name, partitions);
    this.#world.setTopic(name, partitions);
  }

  /** `topicId/partition`, sorted: all that these are subscribed to. */
  subscribedTo(clients: readonly { readonly subscription: Subscription }[]): string[] {
    const isSubscribed = (name: string) =>
      clients.some(
        ({ subscription: { names, regex } }) =>
          names.includes(name) || (regex !== "" && new RegExp(`^(${regex})$`).test(name)),
      );
    return [...this.#partitions]
      .flatMap(([name, partitions]) =>
        isSubscribed(name)
          ? Array.from({ length: partitions }, (_, index) => `${name.padEnd(22, "_")}/${index}`)
          : [],
      )
      .toSorted();
  }
}

/** Of two with the same instance id only one can be a member: the other ends. */
export function endTwins(alive: () => readonly { readonly instanceId: string | null; die(): void }[]): void {
  for (const client of alive()) {
    const { instanceId } = client;
    if (instanceId !== null && alive().filter((other) => other.instanceId === instanceId).length > 1) {
      client.die();
    }
  }
}

/** Nothing happens any more but what clients do by themselves. */
export async function liveInPeace(
  world: GroupWorld,
  alive: () => readonly { step(): void }[],
  { ms, stepMs }: { readonly ms: number; readonly stepMs: number },
): Promise<void> {
  for (let elapsedMs = 0; elapsedMs < ms; elapsedMs += stepMs) {
    for (const client of alive()) client.step();
    await world.advance(stepMs);
  }
}

/** Whatever anybody was told is committed still is, or more. */
export async function expectOffsetsKept(world: GroupWorld, ownership: ConsumerOwnership): Promise<void> {
  const promised = new Map(ownership.acknowledged);
  const stored = ok(await world.ask((group) => group.fetchOffsets(ALL_OFFSETS)));
  const now = new Map(stored.map(({ topicId, partition, offset }) => [`${topicId}/${partition}`, offset]));
  for (const [partition, offset] of promised) {
    expect(now.get(partition) ?? -1, partition).toBeGreaterThanOrEqual(offset);
  }
}
