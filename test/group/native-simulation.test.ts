import { afterAll, describe, expect, test, vi } from "vitest";
import { ok } from "../cluster/results.ts";
import { ClassicClient, type Owner, type Witness } from "./classic-client.ts";
import { TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { ConsumerClient, type ConsumerWitness, type Subscription } from "./consumer-client.ts";
import { GroupWorld } from "./group-world.ts";
import { NativeClient } from "./native-client.ts";
import { Random, seeds } from "./random.ts";

const STEPS = 300;
const CLIENTS_MAX = 6;
const ALL_OFFSETS = { memberId: null, memberEpoch: -1, topics: null };

type Client = NativeClient | ConsumerClient | ClassicClient;

/** Holds against one another what clients of all protocols are told; each finding is a broken promise. */
class Witnesses implements ConsumerWitness {
  readonly #world: GroupWorld;
  readonly #random: Random;
  readonly #owners = new Map<string, Owner>();
  readonly acknowledged = new Map<string, number>();
  readonly classic: Witness;
  failure: unknown;

  constructor(world: GroupWorld, random: Random, partitions: number) {
    this.#world = world;
    this.#random = random;
    const key = (partition: number) => `${TOPIC_ID}/${partition}`;
    this.classic = {
      partitions,
      generation: 0,
      joined() {},
      owns() {},
      failed: (error) => this.failed(error),
      acquires: (owner, partition) => this.acquires(owner, key(partition)),
      releases: (owner, partition) => this.releases(owner, key(partition)),
      starts: (partition, committed) => this.starts(key(partition), committed),
      committed: (partition, offset) => this.committed(key(partition), offset),
    };
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
      this.failed(
        new Error(
          `${partition} belongs to ${owner.memberId}, heard ${this.#world.nowMs - owner.lastHeardMs} ms ago, and to ${client.memberId}`,
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

function failureOf(world: GroupWorld, witness: Witnesses): unknown {
  return witness.failure ?? world.failure;
}

async function expectOffsetsKept(world: GroupWorld, witness: Witnesses): Promise<void> {
  const promised = new Map(witness.acknowledged);
  const stored = ok(await world.ask((group) => group.fetchOffsets(ALL_OFFSETS)));
  const now = new Map(stored.map(({ topicId, partition, offset }) => [`${topicId}/${partition}`, offset]));
  for (const [partition, offset] of promised) {
    expect(now.get(partition) ?? -1, partition).toBeGreaterThanOrEqual(offset);
  }
}

/** Something happens to the object or to somebody's connection. */
async function mishap(
  what: number,
  world: GroupWorld,
  random: Random,
  natives: NativeClient[],
): Promise<void> {
  if (what < 2) world.kill();
  else if (what < 4) world.killAfterCommit();
  else if (what < 8 && world.unanswered === 0) await world.evict();
  else if (what < 13) random.pick(natives)?.breakSocket();
  else if (what < 15) random.pick(natives)?.deafen();
  else if (what < 17) {
    const sleeper = random.pick(natives);
    if (sleeper !== undefined) sleeper.pausedUntilMs = world.nowMs + random.below(90_000);
  } else if (what < 18) await world.advance(random.below(200_000));
  else await world.advance(random.below(3_000));
}

test.each(seeds(8))(
  "seed %d: members with sockets and without come, go, hang, break off and die, and no promise is broken",
  async (seed) => {
    vi.spyOn(console, "warn").mockReturnValue();
    const random = new Random(seed);
    const world = new GroupWorld({ membersMax: CLIENTS_MAX });
    const witness = new Witnesses(world, random, 0);
    const clients: (NativeClient | ConsumerClient)[] = [];
    const topics = new Map([
      ["alpha", 5],
      ["beta", 3],
    ]);
    for (const [name, partitions] of topics) world.setTopic(name, partitions);
    let ids = 0;
    const subscription = (): Subscription => {
      if (random.chance(0.2)) return { names: [], regex: "[a-z]+-[0-9]" };
      if (random.chance(0.3)) return { names: ["alpha"], regex: "" };
      return { names: ["alpha", "beta", "absent"], regex: random.chance(0.2) ? "gamma.*" : "" };
    };
    const join = () => {
      const instanceId = random.chance(0.3) ? `instance-${random.below(2)}` : null;
      clients.push(
        random.chance(0.7)
          ? new NativeClient(world, witness, instanceId, subscription())
          : new ConsumerClient(world, witness, `member-${++ids}`, instanceId, subscription()),
      );
    };
    const alive = () => clients.filter(({ isDead }) => !isDead);
    const natives = () => alive().filter((client) => client instanceof NativeClient);

    for (let steps = 0; steps < STEPS; steps++) {
      const what = random.below(100);
      if (what < 6 && alive().length < CLIENTS_MAX) join();
      else if (what < 8) void random.pick(alive())?.leave();
      else if (what < 10) random.pick(alive())?.die();
      else if (what < 12) random.pick(alive())?.subscribe(subscription());
      else if (what < 14) {
        const name = random.pick(["alpha", "beta", "gamma-1", "gamma-2", "delta-1"]) ?? "alpha";
        topics.set(name, Math.min((topics.get(name) ?? 0) + 1 + random.below(3), 12));
        world.setTopic(name, topics.get(name) ?? 1);
      } else if (what < 15) world.isControllerDown = !world.isControllerDown;
      else await mishap(random.below(60), world, random, natives());
      for (const client of alive()) {
        if (random.chance(0.8)) client.step();
        if (random.chance(0.3)) await world.settle();
      }
      await world.settle();
      if (failureOf(world, witness) !== undefined) throw failureOf(world, witness);
      if (steps % 20 === 0) await expectOffsetsKept(world, witness);
    }

    // Peace: whoever lives gets all that somebody is subscribed to, each partition one owner.
    world.isControllerDown = false;
    if (alive().length === 0) join();
    for (const client of clients) client.pausedUntilMs = 0;
    // Of two with the same instance id only one can be a member.
    for (const client of alive()) {
      const isTwin = ({ instanceId }: NativeClient | ConsumerClient) =>
        instanceId !== null && instanceId === client.instanceId;
      if (alive().filter(isTwin).length > 1) client.die();
    }
    for (let elapsedMs = 0; elapsedMs < 300_000; elapsedMs += 1_000) {
      for (const client of alive()) client.step();
      await world.advance(1_000);
    }
    // It may have been refused while its former self was still a member.
    if (alive().length === 0) {
      clients.push(new NativeClient(world, witness, null, subscription()));
      for (let elapsedMs = 0; elapsedMs < 120_000; elapsedMs += 1_000) {
        for (const client of alive()) client.step();
        await world.advance(1_000);
      }
    }
    if (failureOf(world, witness) !== undefined) throw failureOf(world, witness);
    await expectOffsetsKept(world, witness);
    const description = ok(await world.ask((group) => group.describe()));
    expect(description.state).toBe("Stable");
    const isSubscribed = (name: string) =>
      alive().some(
        ({ subscription: { names, regex } }) =>
          names.includes(name) || (regex !== "" && new RegExp(`^(${regex})$`).test(name)),
      );
    const expected = [...topics].flatMap(([name, partitions]) =>
      isSubscribed(name)
        ? Array.from({ length: partitions }, (_, index) => `${name.padEnd(22, "_")}/${index}`)
        : [],
    );
    const owned = alive().flatMap((client) => client.owned);
    expect(owned.toSorted()).toEqual(expected.toSorted());
    expect(description.members).toHaveLength(alive().length);
    expect(world.sockets.size).toBe(natives().length);
  },
);

const seen = new Set<string>();

describe("of all three protocols", () => {
  test.each(seeds(8))(
    "seed %d: members of all three protocols share a group, however it is lost, and no promise is broken",
    async (seed) => {
      vi.spyOn(console, "warn").mockReturnValue();
      const random = new Random(seed);
      const world = new GroupWorld({ membersMax: CLIENTS_MAX });
      const partitions = 7;
      world.setTopic(TOPIC, partitions, TOPIC_ID);
      const witness = new Witnesses(world, random, partitions);
      const clients: Client[] = [];
      const subscription = { names: [TOPIC], regex: "" };
      let ids = 0;
      const join = () => {
        const kind = random.below(10);
        if (kind < 4) clients.push(new NativeClient(world, witness, null, subscription));
        else if (kind < 6) {
          clients.push(new ConsumerClient(world, witness, `member-${++ids}`, null, subscription));
        } else clients.push(new ClassicClient(world, witness.classic, null));
      };
      const alive = () => clients.filter(({ isDead }) => !isDead);
      const natives = () => alive().filter((client) => client instanceof NativeClient);

      for (let steps = 0; steps < STEPS; steps++) {
        const what = random.below(100);
        if (what < 8 && alive().length < CLIENTS_MAX) join();
        else if (what < 12) void random.pick(alive())?.leave();
        else if (what < 14) random.pick(alive())?.die();
        else await mishap(random.below(60), world, random, natives());
        for (const client of alive()) {
          if (random.chance(0.8)) client.step();
          if (random.chance(0.3)) await world.settle();
        }
        await world.settle();
        if (failureOf(world, witness) !== undefined) throw failureOf(world, witness);
        const summary = await world.ask((group) => group.summary());
        if ("type" in summary) seen.add(summary.type);
      }

      if (alive().length === 0) join();
      for (const client of clients) client.pausedUntilMs = 0;
      for (let elapsedMs = 0; elapsedMs < 300_000; elapsedMs += 500) {
        for (const client of alive()) client.step();
        await world.advance(500);
      }
      if (failureOf(world, witness) !== undefined) throw failureOf(world, witness);
      const description = ok(await world.ask((group) => group.describe()));
      expect(description.state).toBe("Stable");
      expect(description.members).toHaveLength(alive().length);
      const owned = alive().flatMap((client) =>
        [...client.owned].map((partition) => Number(String(partition).split("/").at(-1))),
      );
      expect(owned.toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: partitions }, (_, index) => index),
      );
    },
  );

  afterAll(() => {
    // Without both kinds of group nothing has been tried.
    expect(seen.size).toBe(2);
  });
});
