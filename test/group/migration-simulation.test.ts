import { afterAll, expect, test, vi } from "vitest";
import { ok } from "../cluster/results.ts";
import { ClassicClient } from "./classic-client.ts";
import { TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { ConsumerClient } from "./consumer-client.ts";
import { ConsumerOwnership, classicOwnership } from "./consumer-ownership.ts";
import { GroupWorld } from "./group-world.ts";
import { Random, seeds } from "./random.ts";
import { liveInPeace } from "./simulated-topics.ts";

const PARTITIONS = 7;
const STEPS = 300;
const CLIENTS_MAX = 6;

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
    const witness = new ConsumerOwnership(world, random);
    const classic = classicOwnership(witness, TOPIC_ID, PARTITIONS);
    const clients: (ClassicClient | ConsumerClient)[] = [];
    let ids = 0;
    const join = (isClassic: boolean) =>
      clients.push(
        isClassic
          ? new ClassicClient(world, classic, null)
          : new ConsumerClient(world, witness, `member-${++ids}`, null, {
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
    await liveInPeace(world, alive, { ms: 240_000, stepMs: 500 });
    checkFailures();
    const description = ok(await world.ask((group) => group.describe()));
    expect(description.state).toBe("Stable");
    expect(description.type).toBe(
      alive().some((client) => client instanceof ConsumerClient) ? "consumer" : "classic",
    );
    expect(description.members).toHaveLength(alive().length);
    const owned = alive().flatMap((client) =>
      [...client.owned].map((partition) => Number(String(partition).split("/").at(-1))),
    );
    expect(owned.toSorted((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, index) => index));
  },
);
