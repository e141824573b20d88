import { describe, expect, test } from "vitest";
import type { JoinedGroup } from "../../durable-objects/group/rpc.ts";
import { ok, refused } from "../cluster/results.ts";
import {
  alone,
  assign,
  commitRequest,
  heartbeat,
  joining,
  joinRequest,
  newMemberId,
  syncRequest,
} from "./classic-requests.ts";
import { GroupWorld, LostObject } from "./group-world.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

/** Two members, of whom the first leads; both have joined the same generation and nobody has synced. */
async function two(world: GroupWorld): Promise<[JoinedGroup, JoinedGroup]> {
  const first = await alone(world);
  const second = await joining(world);
  const rejoined = world.call((group) => group.joinGroup(joinRequest({ memberId: first.memberId })));
  await world.settle();
  return [ok(await rejoined), ok(await second.joined)];
}

describe("joining", () => {
  test("gives a new member an id first, and makes it the leader of a group that was empty", async () => {
    const world = new GroupWorld();
    const memberId = await newMemberId(world);
    expect(memberId).toMatch(/^client-/);
    const joined = ok(await world.ask((group) => group.joinGroup(joinRequest({ memberId }))));
    expect(joined).toMatchObject({ memberId, generation: 1, leader: memberId, protocolName: "range" });
    expect(joined.members.map((member) => member.memberId)).toEqual([memberId]);
  });

  test("by a client too old for that joins at once", async () => {
    const world = new GroupWorld();
    const request = joinRequest({ requiresKnownMemberId: false });
    expect(ok(await world.ask((group) => group.joinGroup(request))).generation).toBe(1);
  });

  test("tells the members that are there to join again, and waits for them", async () => {
    const world = new GroupWorld();
    const first = await alone(world);
    const { joined } = await joining(world);
    expect(world.unanswered).toBe(1);
    expect(refused(await heartbeat(world, first)).error).toBe("REBALANCE_IN_PROGRESS");
    const rejoined = world.call((group) => group.joinGroup(joinRequest({ memberId: first.memberId })));
    await world.settle();
    expect(ok(await rejoined)).toMatchObject({ generation: 2, leader: first.memberId });
    expect(ok(await rejoined).members).toHaveLength(2);
    expect(ok(await joined)).toMatchObject({ generation: 2, leader: first.memberId, members: [] });
  });

  test("goes on without members that do not come back within the rebalance timeout", async () => {
    const world = new GroupWorld();
    const first = await alone(world, { sessionTimeoutMs: 100_000 });
    const { joined } = await joining(world);
    await world.advance(60_000);
    expect(ok(await joined)).toMatchObject({ generation: 2 });
    expect(refused(await heartbeat(world, first)).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("goes on without members whose sessions end meanwhile", async () => {
    const world = new GroupWorld();
    await alone(world);
    const { joined } = await joining(world);
    await world.advance(10_000);
    expect(ok(await joined)).toMatchObject({ generation: 2 });
  });

  test("an empty group waits for more members while they keep coming", async () => {
    const world = new GroupWorld({ initialRebalanceDelayMs: 3_000 });
    const first = await joining(world);
    await world.advance(2_000);
    const second = await joining(world);
    await world.advance(2_000);
    expect(world.unanswered).toBe(2);
    await world.advance(2_000);
    expect(ok(await first.joined).members).toHaveLength(2);
    expect(ok(await second.joined).generation).toBe(1);
  });

  test("chooses the protocol that most members want of those that all know", async () => {
    const world = new GroupWorld({ initialRebalanceDelayMs: 3_000 });
    const protocols = (...names: string[]) => names.map((name) => ({ name, metadata: bytes(1) }));
    const joins = [
      await joining(world, { protocols: protocols("a", "b", "c") }),
      await joining(world, { protocols: protocols("b", "a") }),
      await joining(world, { protocols: protocols("b", "a") }),
    ];
    await world.advance(9_000);
    for (const { joined } of joins) expect(ok(await joined).protocolName).toBe("b");
  });

  test.each([
    ["another protocol type", { protocolType: "connect" }],
    ["no protocol in common", { protocols: [{ name: "own", metadata: bytes(1) }] }],
    ["no protocol", { protocols: [] }],
  ])("with %s is refused", async (_, request) => {
    const world = new GroupWorld();
    await alone(world);
    const result = await world.ask((group) => group.joinGroup(joinRequest(request)));
    expect(refused(result).error).toBe("INCONSISTENT_GROUP_PROTOCOL");
  });

  test.each([5_999, 1_800_001, Number.NaN])(
    "with a session timeout of %d ms is refused",
    async (sessionTimeoutMs) => {
      const world = new GroupWorld();
      const result = await world.ask((group) => group.joinGroup(joinRequest({ sessionTimeoutMs })));
      expect(refused(result).error).toBe("INVALID_SESSION_TIMEOUT");
      expect(world.registered.size).toBe(0);
    },
  );

  test("a full group is refused", async () => {
    const world = new GroupWorld({ membersMax: 1 });
    const first = await alone(world);
    const result = await world.ask((group) => group.joinGroup(joinRequest()));
    expect(refused(result).error).toBe("GROUP_MAX_SIZE_REACHED");
    expect(await heartbeat(world, first)).toBeNull();
  });

  test("with an id that the group does not know is refused", async () => {
    const world = new GroupWorld();
    const unknown = joinRequest({ memberId: "nobody" });
    expect(refused(await world.ask((group) => group.joinGroup(unknown))).error).toBe("UNKNOWN_MEMBER_ID");
    await alone(world);
    expect(refused(await world.ask((group) => group.joinGroup(unknown))).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("again, unchanged, tells a follower its generation and lets the leader begin a new one", async () => {
    const world = new GroupWorld();
    const [leader, follower] = await two(world);
    await assign(world, leader, []);
    const again = await world.ask((group) => group.joinGroup(joinRequest({ memberId: follower.memberId })));
    expect(ok(again).generation).toBe(leader.generation);
    const begun = world.call((group) => group.joinGroup(joinRequest({ memberId: leader.memberId })));
    await world.settle();
    expect(refused(await heartbeat(world, follower)).error).toBe("REBALANCE_IN_PROGRESS");
    await world.advance(10_000);
    expect(ok(await begun)).toMatchObject({ generation: leader.generation + 1 });
  });

  test("an id that was given and never used does not hold up the others for longer than its session", async () => {
    const world = new GroupWorld();
    const first = await alone(world);
    await newMemberId(world);
    const { joined } = await joining(world);
    const rejoined = world.call((group) => group.joinGroup(joinRequest({ memberId: first.memberId })));
    await world.settle();
    expect(world.unanswered).toBe(2);
    await world.advance(10_000);
    expect(ok(await joined).generation).toBe(2);
    expect(ok(await rejoined).generation).toBe(2);
  });
});

describe("syncing", () => {
  test("waits for the leader, and gives each member its part", async () => {
    const world = new GroupWorld();
    const [leader, follower] = await two(world);
    const waiting = world.call((group) => group.syncGroup(syncRequest(follower)));
    await world.settle();
    expect(world.unanswered).toBe(1);
    const own = await assign(world, leader, [
      [leader.memberId, bytes(1)],
      [follower.memberId, bytes(2)],
    ]);
    expect(own).toEqual({ protocolType: "consumer", protocolName: "range", assignment: bytes(1) });
    expect(ok(await waiting).assignment).toEqual(bytes(2));
    const late = await world.ask((group) => group.syncGroup(syncRequest(follower)));
    expect(ok(late).assignment).toEqual(bytes(2));
  });

  test("has a session's time where the members' rebalance timeout is shorter", async () => {
    const world = new GroupWorld();
    const { joined } = await joining(world, { rebalanceTimeoutMs: 0 });
    const member = ok(await joined);
    await world.advance(5_000);
    expect(await assign(world, member, [[member.memberId, bytes(1)]])).toMatchObject({
      assignment: bytes(1),
    });
  });

  test("with another generation, protocol or member is refused", async () => {
    const world = new GroupWorld();
    const [leader] = await two(world);
    const sync = (changes: object) =>
      world.ask((group) => group.syncGroup({ ...syncRequest(leader), ...changes }));
    expect(refused(await sync({ generation: 1 })).error).toBe("ILLEGAL_GENERATION");
    expect(refused(await sync({ protocolName: "own" })).error).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect(refused(await sync({ protocolType: "connect" })).error).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect(refused(await sync({ memberId: "nobody" })).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("ends when another rebalance begins", async () => {
    const world = new GroupWorld();
    const [, follower] = await two(world);
    const waiting = world.call((group) => group.syncGroup(syncRequest(follower)));
    await world.settle();
    await joining(world);
    expect(refused(await waiting).error).toBe("REBALANCE_IN_PROGRESS");
  });

  test("members that do not sync within the rebalance timeout are left out", async () => {
    const world = new GroupWorld();
    const [leader, follower] = await two(world);
    await assign(world, leader, []);
    for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 3_000) {
      await heartbeat(world, leader);
      await heartbeat(world, follower);
      await world.advance(3_000);
    }
    expect(refused(await heartbeat(world, leader)).error).toBe("REBALANCE_IN_PROGRESS");
    expect(refused(await heartbeat(world, follower)).error).toBe("UNKNOWN_MEMBER_ID");
  });
});

describe("a session", () => {
  test("ends when the member has not been heard for the session timeout, and not before", async () => {
    const world = new GroupWorld();
    const member = await alone(world);
    await world.advance(9_999);
    expect(await heartbeat(world, member)).toBeNull();
    await world.advance(9_999);
    expect(await heartbeat(world, member)).toBeNull();
    await world.advance(10_000);
    expect(refused(await heartbeat(world, member)).error).toBe("UNKNOWN_MEMBER_ID");
    expect(ok(await world.ask((group) => group.summary())).state).toBe("Empty");
  });

  test("goes on by commits as well", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world);
    await world.advance(9_000);
    await world.ask((group) => group.commitOffsets(commitRequest({ memberId, generation }, { offset: 1 })));
    await world.advance(9_000);
    expect(await heartbeat(world, { memberId, generation } as JoinedGroup)).toBeNull();
  });

  test("writes nothing while the member heartbeats", async () => {
    const world = new GroupWorld();
    const member = await alone(world);
    const before = world.storage.rowsWritten;
    for (let beats = 0; beats < 100; beats++) {
      await world.advance(3_000);
      expect(await heartbeat(world, member)).toBeNull();
    }
    expect(world.storage.rowsWritten).toBe(before);
  });
});

describe("leaving", () => {
  test("several at once: each has its own answer, and the others rebalance", async () => {
    const world = new GroupWorld();
    const [leader, follower] = await two(world);
    await assign(world, leader, []);
    const left = await world.ask((group) =>
      group.leaveGroup([
        { memberId: leader.memberId, instanceId: null },
        { memberId: "nobody", instanceId: null },
        { memberId: "", instanceId: "none" },
      ]),
    );
    expect(ok(left).map(({ error }) => error)).toEqual([null, "UNKNOWN_MEMBER_ID", "UNKNOWN_MEMBER_ID"]);
    const rejoined = await world.ask((group) =>
      group.joinGroup(joinRequest({ memberId: follower.memberId })),
    );
    expect(ok(rejoined)).toMatchObject({ generation: 3, leader: follower.memberId });
  });

  test("the last one leaves the group empty", async () => {
    const world = new GroupWorld();
    const { memberId } = await alone(world);
    await world.ask((group) => group.leaveGroup([{ memberId, instanceId: null }]));
    expect(ok(await world.ask((group) => group.summary()))).toEqual({
      type: "classic",
      state: "Empty",
      protocolType: "consumer",
      memberCount: 0,
    });
  });
});

describe("a static member", () => {
  const instance = { instanceId: "instance-1" };

  test("that starts again takes its place without a rebalance, and its former self is fenced", async () => {
    const world = new GroupWorld();
    const first = ok(await world.ask((group) => group.joinGroup(joinRequest(instance))));
    await assignStatic(world, first, bytes(7));
    const second = ok(await world.ask((group) => group.joinGroup(joinRequest(instance))));
    expect(second.memberId).not.toBe(first.memberId);
    expect(second).toMatchObject({ generation: 1, skipAssignment: true, leader: second.memberId });
    const request = { ...syncRequest(second), ...instance };
    expect(ok(await world.ask((group) => group.syncGroup(request))).assignment).toEqual(bytes(7));
    const zombie = { memberId: first.memberId, generation: 1, ...instance };
    expect(refused(await world.ask((group) => group.heartbeat(zombie))).error).toBe("FENCED_INSTANCE_ID");
    const commit = commitRequest(zombie, { offset: 9 });
    expect(refused(await world.ask((group) => group.commitOffsets(commit))).error).toBe("FENCED_INSTANCE_ID");
  });

  test("that starts again is not taken for the leader by a client too old to skip the assignment", async () => {
    const world = new GroupWorld();
    const first = ok(await world.ask((group) => group.joinGroup(joinRequest(instance))));
    await assignStatic(world, first, bytes(7));
    const again = joinRequest({ ...instance, canSkipAssignment: false });
    const second = ok(await world.ask((group) => group.joinGroup(again)));
    expect(second).toMatchObject({ leader: first.memberId, members: [], skipAssignment: false });
  });

  test("that starts again with another protocol makes the group rebalance", async () => {
    const world = new GroupWorld();
    const first = ok(await world.ask((group) => group.joinGroup(joinRequest(instance))));
    await assignStatic(world, first, bytes(7));
    const again = joinRequest({
      ...instance,
      protocols: [{ name: "sticky", metadata: bytes(1) }, ...joinRequest().protocols],
    });
    const second = ok(await world.ask((group) => group.joinGroup(again)));
    expect(second).toMatchObject({ generation: 2, protocolName: "sticky" });
  });

  test("is waited for until its session ends, not only for the rebalance timeout", async () => {
    const world = new GroupWorld();
    const request = joinRequest({ ...instance, sessionTimeoutMs: 120_000, rebalanceTimeoutMs: 10_000 });
    const first = ok(await world.ask((group) => group.joinGroup(request)));
    await assignStatic(world, first, bytes(7));
    const { joined } = await joining(world, { rebalanceTimeoutMs: 10_000 });
    await world.advance(10_000);
    expect(ok(await joined).members.map(({ instanceId }) => instanceId)).toEqual(["instance-1", null]);
  });

  test("whose rebalance timeout is 0 is waited for as well, and keeps nobody from being answered", async () => {
    const world = new GroupWorld();
    const request = joinRequest({ ...instance, rebalanceTimeoutMs: 0 });
    const first = ok(await world.ask((group) => group.joinGroup(request)));
    await assignStatic(world, first, bytes(7));
    const { memberId } = await joining(world, { rebalanceTimeoutMs: 0 });
    await world.ask((group) => group.leaveGroup([{ memberId, instanceId: null }]));
    await world.advance(5_000);
    const again = { ...request, memberId: first.memberId };
    expect(ok(await world.ask((group) => group.joinGroup(again))).members).toHaveLength(1);
  });

  test("can be removed by its instance id alone", async () => {
    const world = new GroupWorld();
    await world.ask((group) => group.joinGroup(joinRequest(instance)));
    const left = await world.ask((group) => group.leaveGroup([{ memberId: "", ...instance }]));
    expect(ok(left)[0]?.error).toBeNull();
  });

  async function assignStatic(world: GroupWorld, member: JoinedGroup, assignment: Uint8Array) {
    const request = { ...syncRequest(member, [[member.memberId, assignment]]), ...instance };
    ok(await world.ask((group) => group.syncGroup(request)));
  }
});

describe("an object that was lost", () => {
  test("in the middle of a rebalance lets its members join again with their ids", async () => {
    const world = new GroupWorld();
    const first = await alone(world);
    const { memberId, joined } = await joining(world);
    const lost = expect(joined).rejects.toThrow(LostObject);
    world.killAfterCommit();
    await lost;
    expect(refused(await heartbeat(world, first)).error).toBe("REBALANCE_IN_PROGRESS");
    const again = [first.memberId, memberId].map((id) =>
      world.call((group) => group.joinGroup(joinRequest({ memberId: id }))),
    );
    await world.settle();
    for (const rejoined of again) expect(ok(await rejoined).generation).toBe(2);
  });

  test("while members wait for the assignment gives it when the leader brings it again", async () => {
    const world = new GroupWorld();
    const [leader, follower] = await two(world);
    const lost = expect(world.call((group) => group.syncGroup(syncRequest(follower)))).rejects.toThrow(
      LostObject,
    );
    await world.settle();
    world.kill();
    await lost;
    const rejoined = await world.ask((group) => group.joinGroup(joinRequest({ memberId: leader.memberId })));
    expect(ok(rejoined)).toMatchObject({ generation: leader.generation, leader: leader.memberId });
    await assign(world, leader, [[follower.memberId, bytes(2)]]);
    expect(ok(await world.ask((group) => group.syncGroup(syncRequest(follower)))).assignment).toEqual(
      bytes(2),
    );
  });

  test("remembers a stable group, and gives its members their session anew", async () => {
    const world = new GroupWorld();
    const member = await alone(world);
    await world.advance(9_000);
    world.kill();
    await world.advance(9_000);
    expect(await heartbeat(world, member)).toBeNull();
    await world.evict();
    expect(await heartbeat(world, member)).toBeNull();
  });

  test("again and again does not keep members for ever that nobody hears of", async () => {
    const world = new GroupWorld();
    await alone(world);
    let wakings = 0;
    while (world.storage.alarmAtMs !== null && wakings < 20) {
      // The object sleeps until its alarm wakes it.
      await world.evict();
      world.nowMs = Math.max(world.nowMs, world.storage.alarmAtMs ?? world.nowMs);
      await world.alarm();
      wakings++;
    }
    expect(refused(await world.ask((group) => group.describe())).error).toBe("GROUP_ID_NOT_FOUND");
    expect(wakings).toBeLessThan(6);
    expect(world.registered.size).toBe(0);
    expect(world.storage.alarmAtMs).toBeNull();
  });
});
