import { expect, test } from "vitest";
import { ok } from "../cluster/results.ts";
import { ClassicClient } from "./classic-client.ts";
import { TOPIC_ID } from "./classic-requests.ts";
import { ClassicWitness } from "./classic-witness.ts";
import { GroupWorld } from "./group-world.ts";
import { Random, seeds } from "./random.ts";

const STEPS = 300;
const CLIENTS_MAX = 6;

test.each(seeds(25))(
  "seed %d: members come, go, hang and die, the object is lost, clocks jump, and no promise is broken",
  async (seed) => {
    const random = new Random(seed);
    const world = new GroupWorld({
      initialRebalanceDelayMs: random.chance(0.5) ? 0 : 3_000,
      membersMax: CLIENTS_MAX,
    });
    const witness = new ClassicWitness();
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
    expect([...owned].sort((a, b) => a - b)).toEqual(
      Array.from({ length: witness.partitions }, (_, index) => index),
    );
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
