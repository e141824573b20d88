import { describe, expect, test } from "vitest";
import type { JoinedGroup } from "../../durable-objects/group/rpc.ts";
import { ok, refused } from "../cluster/results.ts";
import {
  alone,
  assign,
  commitRequest,
  heartbeat,
  joinRequest,
  syncRequest,
  TOPIC,
} from "./classic-requests.ts";
import { heartbeatRequest } from "./consumer-client.ts";
import { assignmentBytes, partitionsIn, subscriptionBytes } from "./consumer-protocol.ts";
import { GroupWorld } from "./group-world.ts";

const JOINING = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: [TOPIC], topicPartitions: [] };

/** A classic member, alone in its group, with all of four partitions. */
async function classicWorld(): Promise<{ world: GroupWorld; topicId: string; member: JoinedGroup }> {
  const world = new GroupWorld();
  const topicId = world.setTopic(TOPIC, 4);
  const member = await alone(world, {}, assignmentBytes(TOPIC, [0, 1, 2, 3]));
  return { world, topicId, member };
}

function beat(world: GroupWorld, request: object) {
  return world.ask((group) =>
    group.consumerGroupHeartbeat(heartbeatRequest({ memberId: "new", ...request })),
  );
}

/** JoinGroup as a cooperative consumer sends it, and its SyncGroup. */
async function rejoin(world: GroupWorld, { memberId }: JoinedGroup, owned: number[]) {
  const metadata = subscriptionBytes(
    [TOPIC],
    owned.length === 0 ? [] : [{ topic: TOPIC, partitions: owned }],
  );
  const request = joinRequest({ memberId, protocols: [{ name: "range", metadata }] });
  const joined = ok(await world.ask((group) => group.joinGroup(request)));
  const synced = ok(await world.ask((group) => group.syncGroup(syncRequest(joined))));
  return { joined, partitions: partitionsIn(synced.assignment, TOPIC) };
}

describe("a member of KIP-848 that a classic group cannot take", () => {
  test("is refused without disturbing it, where the group is full", async () => {
    const world = new GroupWorld({ membersMax: 1 });
    world.setTopic(TOPIC, 4);
    const member = await alone(world, {}, assignmentBytes(TOPIC, [0, 1, 2, 3]));
    expect(refused(await beat(world, JOINING)).error).toBe("GROUP_MAX_SIZE_REACHED");
    expect(ok(await world.ask((group) => group.summary()))).toMatchObject({
      type: "classic",
      state: "Stable",
    });
    expect(await heartbeat(world, member)).toBeNull();
  });

  test("takes none of what its members have away from them", async () => {
    const world = new GroupWorld();
    const topicId = world.setTopic(TOPIC, 4);
    const requiresKnownMemberId = false;
    const own = { instanceId: "one", requiresKnownMemberId };
    const joined = ok(await world.ask((group) => group.joinGroup(joinRequest(own))));
    const sync = { ...syncRequest(joined, [[joined.memberId, assignmentBytes(TOPIC, [0, 1, 2, 3])]]) };
    ok(await world.ask((group) => group.syncGroup({ ...sync, instanceId: "one" })));
    // As the same member, but without its instance id.
    const twin = await beat(world, { ...JOINING, memberId: joined.memberId });
    expect(refused(twin).error).toBe("UNKNOWN_MEMBER_ID");
    // Until they have joined again, what they had is theirs, and the next one gets nothing of it.
    const next = ok(await beat(world, { ...JOINING, memberId: "next" }));
    expect(next.assignment).toEqual([]);
    const description = ok(await world.ask((group) => group.describe()));
    expect(description.members[0]).toMatchObject({ assignment: [{ topicId, partitions: [0, 1, 2, 3] }] });
  });
});

describe("a member of KIP-848 in a classic group", () => {
  test("takes the group along; the classic members go on, give up their share, and the newcomer gets it", async () => {
    const { world, topicId, member } = await classicWorld();
    const joined = ok(await beat(world, JOINING));
    expect(joined).toMatchObject({ memberEpoch: 2, assignment: [] });
    expect(ok(await world.ask((group) => group.describe()))).toMatchObject({
      type: "consumer",
      groupEpoch: 2,
      members: [
        { memberId: member.memberId, memberEpoch: 1, type: "classic" },
        { memberId: "new", memberEpoch: 2, type: "consumer" },
      ],
    });
    expect(refused(await heartbeat(world, member)).error).toBe("REBALANCE_IN_PROGRESS");
    const told = await rejoin(world, member, [0, 1, 2, 3]);
    expect(told.joined).toMatchObject({ generation: 1, protocolName: "range", leader: "", members: [] });
    expect(told.partitions).toEqual([0, 1]);
    expect(ok(await beat(world, { memberEpoch: 2 })).assignment).toBeNull();
    const given = await rejoin(world, member, [0, 1]);
    expect(given.joined.generation).toBe(2);
    expect(given.partitions).toEqual([0, 1]);
    expect(ok(await beat(world, { memberEpoch: 2 })).assignment).toEqual([{ topicId, partitions: [2, 3] }]);
    expect(await heartbeat(world, given.joined)).toBeNull();
    expect(ok(await world.ask((group) => group.summary())).state).toBe("Stable");
  });

  test("lets the classic members commit in their generation", async () => {
    const { world, topicId, member } = await classicWorld();
    await beat(world, JOINING);
    const commit = (generation: number) =>
      world.ask((group) =>
        group.commitOffsets(
          commitRequest({ memberId: member.memberId, generation, knowsMemberEpochs: false }, { topicId }),
        ),
      );
    expect(ok(await commit(1))[0]?.error).toBeNull();
    expect(refused(await commit(2)).error).toBe("ILLEGAL_GENERATION");
    const fetch = (memberEpoch: number) =>
      world.ask((group) => group.fetchOffsets({ memberId: member.memberId, memberEpoch, topics: null }));
    expect(ok(await fetch(1))).toHaveLength(1);
    expect(ok(await fetch(-1))).toHaveLength(1);
    expect(refused(await fetch(2)).error).toBe("ILLEGAL_GENERATION");
  });

  test("that leaves gives the classic members their protocol back", async () => {
    const { world, member } = await classicWorld();
    await beat(world, JOINING);
    await rejoin(world, member, [0, 1, 2, 3]);
    const { joined } = await rejoin(world, member, [0, 1]);
    await beat(world, { memberEpoch: -1 });
    expect(ok(await world.ask((group) => group.summary()))).toMatchObject({
      type: "classic",
      state: "PreparingRebalance",
    });
    expect(refused(await heartbeat(world, joined)).error).toBe("ILLEGAL_GENERATION");
    const again = ok(await world.ask((group) => group.joinGroup(joinRequest({ memberId: member.memberId }))));
    expect(again).toMatchObject({ generation: 4, leader: member.memberId });
    await assign(world, again, [[member.memberId, assignmentBytes(TOPIC, [0, 1, 2, 3])]]);
    expect(await heartbeat(world, again)).toBeNull();
  });

  test("that comes after another has left gets nothing that a classic member has not given up yet", async () => {
    const { world, topicId, member } = await classicWorld();
    await beat(world, JOINING);
    await beat(world, { memberEpoch: -1 });
    const joined = ok(await beat(world, { ...JOINING, memberId: "newer" }));
    expect(joined.assignment).toEqual([]);
    await rejoin(world, member, [0, 1, 2, 3]);
    await rejoin(world, member, [0, 1]);
    const next = ok(await beat(world, { memberId: "newer", memberEpoch: joined.memberEpoch }));
    expect(next.assignment).toEqual([{ topicId, partitions: [2, 3] }]);
  });

  test("whose session ends gives them their protocol back, also when the object was lost meanwhile", async () => {
    const { world, member } = await classicWorld();
    await beat(world, JOINING);
    world.kill();
    const { joined } = await rejoin(world, member, []);
    await world.evict();
    for (let elapsedMs = 0; elapsedMs < 45_000; elapsedMs += 3_000) {
      await world.advance(3_000);
      await heartbeat(world, joined);
    }
    const description = ok(await world.ask((group) => group.describe()));
    expect(description).toMatchObject({ type: "classic", members: [{ memberId: member.memberId }] });
  });

  test("cannot join members that are not consumers", async () => {
    const world = new GroupWorld();
    world.setTopic(TOPIC, 1);
    await alone(world, { protocolType: "connect" });
    expect(refused(await beat(world, JOINING)).error).toBe("GROUP_ID_NOT_FOUND");
  });

  test("cannot join consumers whose assignment cannot be read", async () => {
    const world = new GroupWorld();
    world.setTopic(TOPIC, 1);
    await alone(world, {}, new Uint8Array([0, 1, 255, 255]));
    expect(refused(await beat(world, JOINING)).error).toBe("GROUP_ID_NOT_FOUND");
  });

  test("answers a JoinGroup that is parked, so that its member joins anew", async () => {
    const world = new GroupWorld({ initialRebalanceDelayMs: 3_000 });
    world.setTopic(TOPIC, 1);
    const parked = world.call((group) => group.joinGroup(joinRequest({ requiresKnownMemberId: false })));
    await world.settle();
    await beat(world, JOINING);
    expect(refused(await parked).error).toBe("REBALANCE_IN_PROGRESS");
  });
});

describe("a classic member in a group of KIP-848", () => {
  test("is given an id, joins at once, and gets its share", async () => {
    const world = new GroupWorld();
    world.setTopic(TOPIC, 2);
    ok(await beat(world, JOINING));
    const first = refusedJoin(await world.ask((group) => group.joinGroup(joinRequest())));
    expect(first.error).toBe("MEMBER_ID_REQUIRED");
    const joined = ok(await world.ask((group) => group.joinGroup(joinRequest({ memberId: first.memberId }))));
    expect(joined).toMatchObject({ generation: 2, leader: "", protocolName: "range" });
    const empty = ok(await world.ask((group) => group.syncGroup(syncRequest(joined))));
    expect(partitionsIn(empty.assignment, TOPIC)).toEqual([]);
    expect(await heartbeat(world, joined)).toBeNull();
    // The other gives up its share; only then is there a reason to join again.
    ok(await beat(world, { memberEpoch: 1 }));
    const owned = [{ topicId: TOPIC.padEnd(22, "_"), partitions: [0] }];
    ok(await beat(world, { memberEpoch: 1, topicPartitions: owned }));
    expect(refused(await heartbeat(world, joined)).error).toBe("REBALANCE_IN_PROGRESS");
    expect((await rejoin(world, joined, [])).partitions).toEqual([1]);
  });

  test("that does not come back when it is told to is fenced after its rebalance timeout", async () => {
    const { world, member } = await classicWorld();
    await beat(world, JOINING);
    for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 3_000) {
      await heartbeat(world, member);
      await beat(world, { memberEpoch: 2 });
      await world.advance(3_000);
    }
    expect(refused(await heartbeat(world, member)).error).toBe("UNKNOWN_MEMBER_ID");
    expect(ok(await beat(world, { memberEpoch: 2 })).assignment?.[0]?.partitions).toEqual([0, 1, 2, 3]);
  });

  test("of another protocol is refused", async () => {
    const world = new GroupWorld();
    world.setTopic(TOPIC, 1);
    ok(await beat(world, JOINING));
    const join = (request: object) => world.ask((group) => group.joinGroup(joinRequest(request)));
    expect(refused(await join({ protocolType: "connect" })).error).toBe("INCONSISTENT_GROUP_PROTOCOL");
    const unreadable = [{ name: "range", metadata: new Uint8Array([0]) }];
    expect(refused(await join({ protocols: unreadable })).error).toBe("INCONSISTENT_GROUP_PROTOCOL");
  });

  test("can leave", async () => {
    const { world, member } = await classicWorld();
    await beat(world, JOINING);
    const left = await world.ask((group) =>
      group.leaveGroup([
        { memberId: member.memberId, instanceId: null },
        { memberId: "nobody", instanceId: null },
      ]),
    );
    expect(ok(left).map(({ error }) => error)).toEqual([null, "UNKNOWN_MEMBER_ID"]);
    expect(ok(await beat(world, { memberEpoch: 2 })).assignment?.[0]?.partitions).toEqual([0, 1, 2, 3]);
  });

  test("stays when the time is over in which it was first to come back with its id", async () => {
    const world = new GroupWorld();
    world.setTopic(TOPIC, 1);
    const { memberId } = refusedJoin(await world.ask((group) => group.joinGroup(joinRequest())));
    await beat(world, JOINING);
    const joined = ok(await world.ask((group) => group.joinGroup(joinRequest({ memberId }))));
    ok(await world.ask((group) => group.syncGroup(syncRequest(joined))));
    await beat(world, { memberEpoch: -1 });
    const again = ok(await world.ask((group) => group.joinGroup(joinRequest({ memberId }))));
    await assign(world, again, [[memberId, assignmentBytes(TOPIC, [0])]]);
    for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 3_000) {
      await world.advance(3_000);
      expect(await heartbeat(world, again)).toBeNull();
    }
  });

  function refusedJoin(result: Parameters<typeof refused>[0]) {
    const failed = refused(result);
    if (!("memberId" in failed) || typeof failed.memberId !== "string")
      throw new Error("no member id came along");
    return { ...failed, memberId: failed.memberId };
  }
});
