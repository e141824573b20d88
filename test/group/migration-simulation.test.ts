import { afterAll, expect, test, vi } from "vitest";
import { ok } from "../cluster/results.ts";
import { ClassicClient, type Owner, type Witness } from "./classic-client.ts";
import { TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { ConsumerClient, type ConsumerWitness } from "./consumer-client.ts";
import { GroupWorld } from "./group-world.ts";
import { Random, seeds } from "./random.ts";

const PARTITIONS = 7;
const STEPS = 300;
const CLIENTS_MAX = 6;

/** What clients of both protocols are told, held against one another. */
class Witnesses {
  readonly #world: GroupWorld;
  readonly #owners = new Map<number, Owner>();
  readonly acknowledged = new Map<number, number>();
  readonly classic: Witness;
  readonly consumer: ConsumerWitness;
  failure: unknown;

  constructor(world: GroupWorld, random: Random) {
    this.#world = world;
    const failed = (error: unknown) => {
      this.failure ??= error;
    };
    this.classic = {
      partitions: PARTITIONS,
      generation: 0,
      joined() {},
      owns() {},
      failed,
      acquires: (owner, partition) => this.#acquires(owner, partition),
      releases: (owner, partition) => this.#releases(owner, partition),
      starts: (partition, committed) => this.#starts(partition, committed),
      committed: (partition, offset) => this.#committed(partition, offset),
    };
    this.consumer = {
      isQuick: () => random.chance(0.5),
      failed,
      acquires: (owner, partition) => this.#acquires(owner, indexOf(partition)),
      releases: (owner, partition) => this.#releases(owner, indexOf(partition)),
      starts: (partition, committed) => this.#starts(indexOf(partition), committed),
      committed: (partition, offset) => this.#committed(indexOf(partition), offset),
    };
  }

  #acquires(owner: Owner, partition: number): void {
    const other = this.#owners.get(partition);
    const isCurrent = other !== undefined && this.#world.nowMs - other.lastHeardMs < other.sessionTimeoutMs;
    if (other !== undefined && other !== owner && isCurrent) {
      throw new Error(`partition ${partition} belongs to ${other.memberId} and to ${owner.memberId}`);
    }
    this.#owners.set(partition, owner);
  }

  #releases(owner: Owner, partition: number): void {
    if (this.#owners.get(partition) === owner) this.#owners.delete(partition);
  }

  #starts(partition: number, committed: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (committed < least)
      throw new Error(`partition ${partition}: ${least} was committed, ${committed} is left`);
  }

  #committed(partition: number, offset: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (offset < least) throw new Error(`partition ${partition} went back from ${least} to ${offset}`);
    this.acknowledged.set(partition, offset);
  }
}

function indexOf(partition: string): number {
  return Number(partition.split("/")[1]);
}

const seen = new Set<string>();

afterAll(() => {
  // Without both kinds nothing has been tried.
  expect(seen.size).toBe(2);
});

test.each(seeds(25))(
  "seed %d: members of both protocols come, go and die, the object is lost, and no promise is broken",
  async (seed) => {
    vi.spyOn(console, "warn").mockReturnValue();
    const random = new Random(seed);
    const world = new GroupWorld({ membersMax: CLIENTS_MAX });
    world.setTopic(TOPIC, PARTITIONS, TOPIC_ID);
    const witness = new Witnesses(world, random);
    const clients: (ClassicClient | ConsumerClient)[] = [];
    let ids = 0;
    const join = (isClassic: boolean) =>
      clients.push(
        isClassic
          ? new ClassicClient(world, witness.classic, null)
          : new ConsumerClient(world, witness.consumer, `member-${++ids}`, null, {
              names: [TOPIC],
              regex: "",
            }),
      );
    const alive = () => clients.filter(({ isDead }) => !isDead);
    const checkFailures = () => {
      if (witness.failure !== undefined) throw witness.failure;
      if (world.failure !== undefined) throw world.failure;
    };

    for (let steps = 0; steps < STEPS; steps++) {
      const what = random.below(100);
      if (what < 8 && alive().length < CLIENTS_MAX) join(random.chance(0.6));
      else if (what < 11) void random.pick(alive())?.leave();
      else if (what < 13) random.pick(alive())?.die();
      else if (what < 15) {
        const sleeper = random.pick(alive());
        if (sleeper !== undefined) sleeper.pausedUntilMs = world.nowMs + random.below(60_000);
      } else if (what < 18) world.kill();
      else if (what < 20) world.killAfterCommit();
      else if (what < 22 && world.unanswered === 0) await world.evict();
      else if (what < 23) await world.advance(random.below(60_000));
      else await world.advance(random.below(3_000));
      for (const client of alive()) {
        if (random.chance(0.8)) client.step();
        if (random.chance(0.3)) await world.settle();
      }
      await world.settle();
      checkFailures();
      const summary = await world.ask((group) => group.summary());
      if ("type" in summary) seen.add(summary.type);
    }

    if (alive().length === 0) join(true);
    for (const client of clients) client.pausedUntilMs = 0;
    for (let elapsedMs = 0; elapsedMs < 240_000; elapsedMs += 500) {
      for (const client of alive()) client.step();
      await world.advance(500);
    }
    checkFailures();
    const description = ok(await world.ask((group) => group.describe()));
    expect(description.state).toBe("Stable");
    expect(description.type).toBe(
      alive().some((client) => client instanceof ConsumerClient) ? "consumer" : "classic",
    );
    expect(description.members).toHaveLength(alive().length);
    const owned = alive().flatMap((client) =>
      [...client.owned].map((partition) => indexOf(`/${String(partition).split("/").at(-1)}`)),
    );
    expect(owned.toSorted((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, index) => index));
  },
);
