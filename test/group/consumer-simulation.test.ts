import { expect, test, vi } from "vitest";
import { ok } from "../cluster/results.ts";
import { ConsumerClient } from "./consumer-client.ts";
import { ConsumerOwnership } from "./consumer-ownership.ts";
import { GroupWorld } from "./group-world.ts";
import { Random, seeds } from "./random.ts";
import { endTwins, expectOffsetsKept, liveInPeace, SimulatedTopics } from "./simulated-topics.ts";

const STEPS = 300;
const CLIENTS_MAX = 6;

test.each(seeds(25))(
  "seed %d: members come, go, hang and die, topics grow, the object is lost, clocks jump, and no promise is broken",
  async (seed) => {
    vi.spyOn(console, "warn").mockReturnValue();
    const random = new Random(seed);
    const world = new GroupWorld({ membersMax: CLIENTS_MAX });
    const witness = new ConsumerOwnership(world, random);
    const clients: ConsumerClient[] = [];
    const topics = new SimulatedTopics(world, random);
    let ids = 0;
    const join = () => {
      const instanceId = random.chance(0.3) ? `instance-${random.below(2)}` : null;
      clients.push(new ConsumerClient(world, witness, `member-${++ids}`, instanceId, topics.subscription()));
    };
    const alive = () => clients.filter(({ isDead }) => !isDead);
    const check = async () => {
      if (witness.failure !== undefined) throw witness.failure;
      await expectOffsetsKept(world, witness);
    };

    for (let steps = 0; steps < STEPS; steps++) {
      const what = random.below(100);
      if (what < 6 && alive().length < CLIENTS_MAX) join();
      else if (what < 8) void random.pick(alive())?.leave();
      else if (what < 10) random.pick(alive())?.die();
      else if (what < 12) {
        const sleeper = random.pick(alive());
        if (sleeper !== undefined) sleeper.pausedUntilMs = world.nowMs + random.below(80_000);
      } else if (what < 14) random.pick(alive())?.subscribe(topics.subscription());
      else if (what < 16) topics.grow();
      else if (what < 19) world.kill();
      else if (what < 21) world.killAfterCommit();
      else if (what < 23 && world.unanswered === 0) await world.evict();
      else if (what < 24) await world.advance(random.below(100_000));
      else if (what < 25) world.isControllerDown = !world.isControllerDown;
      else await world.advance(random.below(3_000));
      for (const client of alive()) {
        if (random.chance(0.8)) client.step();
        if (random.chance(0.3)) await world.settle();
      }
      await world.settle();
      if ((witness.failure ?? world.failure) !== undefined) throw witness.failure ?? world.failure;
      if (steps % 20 === 0) await check();
    }

    // Peace: whoever lives gets all that somebody is subscribed to, each partition one owner.
    world.isControllerDown = false;
    if (alive().length === 0) join();
    for (const client of clients) client.pausedUntilMs = 0;
    endTwins(alive);
    await liveInPeace(world, alive, { ms: 240_000, stepMs: 1_000 });
    if (world.failure !== undefined) throw world.failure;
    await check();
    const description = ok(await world.ask((group) => group.describe()));
    expect(description.state).toBe("Stable");
    const owned = alive().flatMap((client) => client.owned);
    expect(owned.toSorted()).toEqual(topics.subscribedTo(alive()));
    expect(description.members).toHaveLength(alive().length);
    for (const member of description.members) {
      expect(member).toMatchObject({
        memberEpoch: "assignmentEpoch" in description && description.assignmentEpoch,
      });
    }
  },
);
