import { expect, test, vi } from "vitest";
import { ok } from "../cluster/results.ts";
import { ConsumerClient, type Subscription } from "./consumer-client.ts";
import { ConsumerOwnership } from "./consumer-ownership.ts";
import { GroupWorld } from "./group-world.ts";
import { Random, seeds } from "./random.ts";

const STEPS = 300;
const CLIENTS_MAX = 6;
const ALL_OFFSETS = { memberId: null, memberEpoch: -1, topics: null };

test.each(seeds(25))(
  "seed %d: members come, go, hang and die, topics grow, the object is lost, clocks jump, and no promise is broken",
  async (seed) => {
    vi.spyOn(console, "warn").mockReturnValue();
    const random = new Random(seed);
    const world = new GroupWorld({ membersMax: CLIENTS_MAX });
    const witness = new ConsumerOwnership(world, random);
    const clients: ConsumerClient[] = [];
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
      clients.push(new ConsumerClient(world, witness, `member-${++ids}`, instanceId, subscription()));
    };
    const alive = () => clients.filter(({ isDead }) => !isDead);
    const check = async () => {
      if (witness.failure !== undefined) throw witness.failure;
      const promised = new Map(witness.acknowledged);
      const stored = ok(await world.ask((group) => group.fetchOffsets(ALL_OFFSETS)));
      const now = new Map(
        stored.map(({ topicId, partition, offset }) => [`${topicId}/${partition}`, offset]),
      );
      for (const [partition, offset] of promised) {
        expect(now.get(partition) ?? -1, partition).toBeGreaterThanOrEqual(offset);
      }
    };

    for (let steps = 0; steps < STEPS; steps++) {
      const what = random.below(100);
      if (what < 6 && alive().length < CLIENTS_MAX) join();
      else if (what < 8) void random.pick(alive())?.leave();
      else if (what < 10) random.pick(alive())?.die();
      else if (what < 12) {
        const sleeper = random.pick(alive());
        if (sleeper !== undefined) sleeper.pausedUntilMs = world.nowMs + random.below(80_000);
      } else if (what < 14) random.pick(alive())?.subscribe(subscription());
      else if (what < 16) {
        const name = random.pick(["alpha", "beta", "gamma-1", "gamma-2", "delta-1"]) ?? "alpha";
        topics.set(name, Math.min((topics.get(name) ?? 0) + 1 + random.below(3), 12));
        world.setTopic(name, topics.get(name) ?? 1);
      } else if (what < 19) world.kill();
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
    // Of two with the same instance id only one can be a member.
    for (const client of alive()) {
      const isTwin = ({ instanceId }: ConsumerClient) =>
        instanceId !== null && instanceId === client.instanceId;
      if (alive().filter(isTwin).length > 1) client.die();
    }
    for (let elapsedMs = 0; elapsedMs < 240_000; elapsedMs += 1_000) {
      for (const client of alive()) client.step();
      await world.advance(1_000);
    }
    if (world.failure !== undefined) throw world.failure;
    await check();
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
    for (const member of description.members) {
      expect(member).toMatchObject({
        memberEpoch: "assignmentEpoch" in description && description.assignmentEpoch,
      });
    }
  },
);
