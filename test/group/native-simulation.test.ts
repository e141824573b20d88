import { afterAll, describe, expect, test, vi } from "vitest";
import { ok } from "../cluster/results.ts";
import { ClassicClient } from "./classic-client.ts";
import { TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { ConsumerClient } from "./consumer-client.ts";
import { ConsumerOwnership, classicOwnership } from "./consumer-ownership.ts";
import { GroupWorld } from "./group-world.ts";
import { NativeClient } from "./native-client.ts";
import { Random, seeds } from "./random.ts";
import { endTwins, expectOffsetsKept, liveInPeace, SimulatedTopics } from "./simulated-topics.ts";

const STEPS = 300;
const CLIENTS_MAX = 6;

type Client = NativeClient | ConsumerClient | ClassicClient;

function failureOf(world: GroupWorld, witness: ConsumerOwnership): unknown {
  return witness.failure ?? world.failure;
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
    const witness = new ConsumerOwnership(world, random);
    const clients: (NativeClient | ConsumerClient)[] = [];
    const topics = new SimulatedTopics(world, random);
    let ids = 0;
    const join = () => {
      const instanceId = random.chance(0.3) ? `instance-${random.below(2)}` : null;
      clients.push(
        random.chance(0.7)
          ? new NativeClient(world, witness, instanceId, topics.subscription())
          : new ConsumerClient(world, witness, `member-${++ids}`, instanceId, topics.subscription()),
      );
    };
    const alive = () => clients.filter(({ isDead }) => !isDead);
    const natives = () => alive().filter((client) => client instanceof NativeClient);

    for (let steps = 0; steps < STEPS; steps++) {
      const what = random.below(100);
      if (what < 6 && alive().length < CLIENTS_MAX) join();
      else if (what < 8) void random.pick(alive())?.leave();
      else if (what < 10) random.pick(alive())?.die();
      else if (what < 12) random.pick(alive())?.subscribe(topics.subscription());
      else if (what < 14) topics.grow();
      else if (what < 15) world.isControllerDown = !world.isControllerDown;
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
    endTwins(alive);
    await liveInPeace(world, alive, { ms: 300_000, stepMs: 1_000 });
    // It may have been refused while its former self was still a member.
    if (alive().length === 0) {
      clients.push(new NativeClient(world, witness, null, topics.subscription()));
      await liveInPeace(world, alive, { ms: 120_000, stepMs: 1_000 });
    }
    if (failureOf(world, witness) !== undefined) throw failureOf(world, witness);
    await expectOffsetsKept(world, witness);
    const description = ok(await world.ask((group) => group.describe()));
    expect(description.state).toBe("Stable");
    const owned = alive().flatMap((client) => client.owned);
    expect(owned.toSorted()).toEqual(topics.subscribedTo(alive()));
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
      const witness = new ConsumerOwnership(world, random);
      const classic = classicOwnership(witness, TOPIC_ID, partitions);
      const clients: Client[] = [];
      const subscription = { names: [TOPIC], regex: "" };
      let ids = 0;
      const join = () => {
        const kind = random.below(10);
        if (kind < 4) clients.push(new NativeClient(world, witness, null, subscription));
        else if (kind < 6) {
          clients.push(new ConsumerClient(world, witness, `member-${++ids}`, null, subscription));
        } else clients.push(new ClassicClient(world, classic, null));
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
      await liveInPeace(world, alive, { ms: 300_000, stepMs: 500 });
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
