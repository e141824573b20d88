import { expect, test } from "vitest";
import { ok } from "../cluster/results.ts";
import { ClassicClient, type Witness } from "./classic-client.ts";
import { TOPIC_ID } from "./classic-requests.ts";
import { GroupWorld } from "./group-world.ts";
import { Random, seeds } from "./random.ts";

const PARTITIONS = 7;
const STEPS = 300;
const CLIENTS_MAX = 6;

/** Holds against one another what the clients are told; each finding is a broken promise. */
class Witnesses implements Witness {
  readonly partitions = PARTITIONS;
  generation = 0;
  failure: unknown;
  readonly #owners = new Map<string, string>();
  readonly acknowledged = new Map<number, number>();

  /** Of a static member that takes no part in a rebalance the classic protocol promises less; see owns. */
  acquires(): void {}

  releases(): void {}

  failed(error: unknown): void {
    this.failure ??= error;
  }

  joined(generation: number, generationBefore: number): void {
    if (generation < generationBefore)
      throw new Error(`generation ${generation} follows ${generationBefore}`);
    this.generation = Math.max(this.generation, generation);
  }

  owns(memberId: string, generation: number, partitions: readonly number[]): void {
    for (const partition of partitions) {
      const key = `${generation}/${partition}`;
      const owner = this.#owners.get(key);
      if (owner !== undefined && owner !== memberId && !isSameInstance(owner, memberId)) {
        throw new Error(
          `partition ${partition} belongs to ${owner} and ${memberId} in generation ${generation}`,
        );
      }
      this.#owners.set(key, memberId);
    }
  }

  starts(partition: number, committed: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (committed < least)
      throw new Error(`partition ${partition}: ${least} was committed, ${committed} is left`);
  }

  committed(partition: number, offset: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (offset < least) throw new Error(`partition ${partition} went back from ${least} to ${offset}`);
    this.acknowledged.set(partition, offset);
  }
}

/** A static member that starts again takes over what its former self had. */
function isSameInstance(one: string, other: string): boolean {
  const instanceOf = (memberId: string) => /^(instance-\d+)-/.exec(memberId)?.[1];
  return instanceOf(one) !== undefined && instanceOf(one) === instanceOf(other);
}

test.each(seeds(25))(
  "seed %d: members come, go, hang and die, the object is lost, clocks jump, and no promise is broken",
  async (seed) => {
    const random = new Random(seed);
    const world = new GroupWorld({
      initialRebalanceDelayMs: random.chance(0.5) ? 0 : 3_000,
      membersMax: CLIENTS_MAX,
    });
    const witness = new Witnesses();
    const clients: ClassicClient[] = [];
    let durable = new Map<number, number>();

    /** What is stored never goes back, whatever was asked and by whom. */
    const checkStored = async () => {
      const promised = new Map(witness.acknowledged);
      const stored = ok(
        await world.ask((group) => group.fetchOffsets({ memberId: null, memberEpoch: -1, topics: null })),
      );
      const now = new Map(stored.map(({ partition, offset }) => [partition, offset]));
      for (const [partition, offset] of durable) {
        expect(now.get(partition) ?? -1, `partition ${partition}`).toBeGreaterThanOrEqual(offset);
      }
      for (const [partition, offset] of promised) {
        expect(now.get(partition) ?? -1, `acknowledged of partition ${partition}`).toBeGreaterThanOrEqual(
          offset,
        );
      }
      durable = now;
    };

    for (let steps = 0; steps < STEPS; steps++) {
      const alive = clients.filter(({ isDead }) => !isDead);
      const what = random.below(100);
      if (what < 6 && alive.length < CLIENTS_MAX) {
        const instanceId = random.chance(0.3) ? `instance-${random.below(2)}` : null;
        clients.push(new ClassicClient(world, witness, instanceId));
      } else if (what < 8) void random.pick(alive)?.leave();
      else if (what < 10) {
        const victim = random.pick(alive);
        victim?.die();
      } else if (what < 12) {
        const sleeper = random.pick(alive);
        if (sleeper !== undefined) sleeper.pausedUntilMs = world.nowMs + random.below(60_000);
      } else if (what < 15) world.kill();
      else if (what < 17) world.killAfterCommit();
      else if (what < 19 && world.unanswered === 0) await world.evict();
      else if (what < 20) await world.advance(random.below(100_000));
      else await world.advance(random.below(2_000));
      for (const client of alive) {
        if (random.chance(0.8)) client.step();
        if (random.chance(0.3)) await world.settle();
      }
      await world.settle();
      if ((witness.failure ?? world.failure) !== undefined) throw witness.failure ?? world.failure;
      if (steps % 20 === 0) await checkStored();
    }

    // Peace: whoever lives gets all of the partitions, each one owner.
    if (clients.every(({ isDead }) => isDead)) clients.push(new ClassicClient(world, witness, null));
    const alive = () => clients.filter(({ isDead }) => !isDead);
    for (const client of alive()) client.pausedUntilMs = 0;
    for (let elapsedMs = 0; elapsedMs < 180_000; elapsedMs += 500) {
      for (const client of alive()) client.step();
      await world.advance(500);
    }
    if (witness.failure !== undefined) throw witness.failure;
    if (world.failure !== undefined) throw world.failure;
    await checkStored();
    const description = ok(await world.ask((group) => group.describe()));
    expect(description.state).toBe("Stable");
    expect(description.members.map(({ memberId }) => memberId).sort()).toEqual(
      alive()
        .map(({ memberId }) => memberId)
        .sort(),
    );
    const owned = alive().flatMap((client) => client.owned);
    expect([...owned].sort((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, index) => index));
    const before = witness.acknowledged.get(0) ?? 0;
    for (const client of alive()) client.step();
    await world.advance(10);
    expect(witness.acknowledged.get(0)).toBeGreaterThan(before);
    expect(
      ok(
        await world.ask((group) =>
          group.fetchOffsets({
            memberId: null,
            memberEpoch: -1,
            topics: [{ topicId: TOPIC_ID, partitions: [0] }],
          }),
        ),
      ),
    ).toHaveLength(1);
  },
);
