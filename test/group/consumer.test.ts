import { describe, expect, test, vi } from "vitest";
import type {
  ConsumerGroupDescription,
  ConsumerGroupHeartbeatAnswer,
  ConsumerGroupHeartbeatRequest,
} from "../../durable-objects/group/rpc.ts";
import { CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT } from "../../src/model/limits.ts";
import { ok, refused } from "../cluster/results.ts";
import { alone, commitRequest } from "./classic-requests.ts";
import { heartbeatRequest } from "./consumer-client.ts";
import { GroupWorld, LostObject, turn } from "./group-world.ts";

const JOINING = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: ["topic"], topicPartitions: [] };

function beat(world: GroupWorld, request: Partial<ConsumerGroupHeartbeatRequest>) {
  return world.ask((group) => group.consumerGroupHeartbeat(heartbeatRequest(request)));
}

async function join(
  world: GroupWorld,
  memberId: string,
  request: Partial<ConsumerGroupHeartbeatRequest> = {},
): Promise<ConsumerGroupHeartbeatAnswer> {
  return ok(await beat(world, { memberId, ...JOINING, ...request }));
}

/** The partitions of the only topic. */
function partitions({
  assignment,
}: Pick<ConsumerGroupHeartbeatAnswer, "assignment">): readonly number[] | null {
  return assignment === null ? null : assignment.flatMap((topic) => topic.partitions);
}

async function describeGroup(world: GroupWorld): Promise<ConsumerGroupDescription> {
  const description = ok(await world.ask((group) => group.describe()));
  if (description.type !== "consumer") throw new Error("the group is a classic one");
  return description;
}

function worldWith(partitions: number): { world: GroupWorld; topicId: string } {
  const world = new GroupWorld();
  return { world, topicId: world.setTopic("topic", partitions) };
}

describe("a subscription", () => {
  test("that changes while the Controller cannot be asked is taken in when it can", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    const { world, topicId } = worldWith(1);
    const other = world.setTopic("other", 1);
    await join(world, "a");
    world.isControllerDown = true;
    const both = { subscribedTopicNames: ["topic", "other"] };
    const changed = ok(await beat(world, { memberId: "a", memberEpoch: 1, ...both }));
    world.isControllerDown = false;
    await world.advance(5_000);
    const later = ok(await beat(world, { memberId: "a", memberEpoch: changed.memberEpoch }));
    expect(later.assignment).toEqual([
      { topicId, partitions: [0] },
      { topicId: other, partitions: [0] },
    ]);
  });
});

describe("a member", () => {
  test("that joins alone gets everything, and learns its epoch and how often to heartbeat", async () => {
    const { world, topicId } = worldWith(3);
    expect(await join(world, "a")).toEqual({
      memberId: "a",
      memberEpoch: 1,
      heartbeatIntervalMs: 5_000,
      assignment: [{ topicId, partitions: [0, 1, 2] }],
    });
    expect(await beat(world, { memberId: "a", memberEpoch: 1 })).toMatchObject({ assignment: null });
  });

  test("without an id is given one", async () => {
    const { world } = worldWith(1);
    expect((await join(world, "")).memberId).toHaveLength(22);
  });

  test("gets what another has given up only after that other has said so", async () => {
    const { world, topicId } = worldWith(4);
    await join(world, "a");
    const second = await join(world, "b");
    expect(partitions(second)).toEqual([]);
    // a is told to give up two; it keeps its epoch until it has.
    const told = ok(await beat(world, { memberId: "a", memberEpoch: 1 }));
    expect(told.memberEpoch).toBe(1);
    expect(partitions(told)).toEqual([0, 1]);
    const still = [{ topicId, partitions: [0, 1, 2, 3] }];
    const busy = ok(await beat(world, { memberId: "a", memberEpoch: 1, topicPartitions: still }));
    expect(busy).toMatchObject({ memberEpoch: 1, assignment: null });
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toBeNull();
    expect((await describeGroup(world)).state).toBe("Reconciling");
    const left = [{ topicId, partitions: [0, 1] }];
    expect(ok(await beat(world, { memberId: "a", memberEpoch: 1, topicPartitions: left })).memberEpoch).toBe(
      2,
    );
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toEqual([2, 3]);
    expect((await describeGroup(world)).state).toBe("Stable");
  });

  test("that does not give up what it is told to within its rebalance timeout is fenced", async () => {
    const { world } = worldWith(2);
    await join(world, "a", { rebalanceTimeoutMs: 20_000 });
    await join(world, "b");
    await beat(world, { memberId: "a", memberEpoch: 1 });
    await world.advance(20_000);
    expect(refused(await beat(world, { memberId: "a", memberEpoch: 1 })).error).toBe("UNKNOWN_MEMBER_ID");
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toEqual([0, 1]);
  });

  test("whose session ends gives everything to the others", async () => {
    const { world } = worldWith(2);
    await join(world, "a");
    await join(world, "b");
    await world.advance(CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT - 1);
    expect(ok(await beat(world, { memberId: "b", memberEpoch: 2 })).assignment).toBeNull();
    await world.advance(1);
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toEqual([0, 1]);
    expect(refused(await beat(world, { memberId: "a", memberEpoch: 1 })).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("that leaves is gone at once", async () => {
    const { world } = worldWith(1);
    await join(world, "a");
    expect(ok(await beat(world, { memberId: "a", memberEpoch: -1 })).memberEpoch).toBe(-1);
    expect(await describeGroup(world)).toMatchObject({ state: "Empty", groupEpoch: 2, members: [] });
    expect(refused(await beat(world, { memberId: "a", memberEpoch: -1 })).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("can be removed by LeaveGroup, as administrators do, by its id or its instance id", async () => {
    const { world } = worldWith(1);
    await join(world, "a");
    await join(world, "b", { instanceId: "i" });
    const leaving = [
      { memberId: "a", instanceId: null },
      { memberId: "other", instanceId: "i" },
      { memberId: "", instanceId: "i" },
      { memberId: "", instanceId: "i" },
    ];
    const left = ok(await world.ask((group) => group.leaveGroup(leaving)));
    expect(left.map(({ error }) => error)).toEqual([null, "FENCED_INSTANCE_ID", null, "UNKNOWN_MEMBER_ID"]);
    expect(await describeGroup(world)).toMatchObject({ state: "Empty", members: [] });
    expect(refused(await beat(world, { memberId: "a", memberEpoch: 1 })).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("at another epoch is fenced, unless its last answer was lost", async () => {
    const { world, topicId } = worldWith(2);
    await join(world, "a");
    expect(refused(await beat(world, { memberId: "a", memberEpoch: 2 })).error).toBe("FENCED_MEMBER_EPOCH");
    await join(world, "b");
    const kept = [{ topicId, partitions: [0] }];
    await beat(world, { memberId: "a", memberEpoch: 1, topicPartitions: kept });
    expect((await describeGroup(world)).members[0]?.memberEpoch).toBe(2);
    // The answer with epoch 2 was lost: the same again is answered the same.
    const again = ok(await beat(world, { memberId: "a", memberEpoch: 1, topicPartitions: kept }));
    expect(again.memberEpoch).toBe(2);
    const more = [{ topicId, partitions: [0, 1] }];
    const greedy = await beat(world, { memberId: "a", memberEpoch: 1, topicPartitions: more });
    expect(refused(greedy).error).toBe("FENCED_MEMBER_EPOCH");
  });

  test("that was fenced joins again under the same id with nothing", async () => {
    const { world } = worldWith(2);
    await join(world, "a");
    await join(world, "b");
    await beat(world, { memberId: "a", memberEpoch: 1 });
    const again = await join(world, "a");
    expect(again.memberEpoch).toBe(2);
    expect(partitions(again)).toEqual([0]);
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toEqual([1]);
  });

  test.each([
    ["joins without a rebalance timeout", { rebalanceTimeoutMs: -1 }, "INVALID_REQUEST"],
    ["joins with partitions", { topicPartitions: [{ topicId: "x", partitions: [1] }] }, "INVALID_REQUEST"],
    ["joins without saying that it has none", { topicPartitions: null }, "INVALID_REQUEST"],
    ["joins without a subscription", { subscribedTopicNames: null }, "INVALID_REQUEST"],
    ["has an empty instance id", { instanceId: "" }, "INVALID_REQUEST"],
    ["has an impossible epoch", { memberEpoch: -3 }, "INVALID_REQUEST"],
    ["leaves for a while without an instance id", { memberEpoch: -2 }, "INVALID_REQUEST"],
    ["asks for an unknown assignor", { serverAssignor: "sticky" }, "UNSUPPORTED_ASSIGNOR"],
    [
      "subscribes by what is no regular expression",
      { subscribedTopicRegex: "[" },
      "INVALID_REGULAR_EXPRESSION",
    ],
  ])("that %s is refused", async (_, request, error) => {
    const { world } = worldWith(1);
    expect(refused(await beat(world, { memberId: "a", ...JOINING, ...request })).error).toBe(error);
    expect(refused(await world.ask((group) => group.describe())).error).toBe("GROUP_ID_NOT_FOUND");
  });

  test("that subscribes to more than can be assigned is refused, and the others keep what they have", async () => {
    const { world } = worldWith(1);
    await join(world, "a");
    world.setTopic("huge", 100_000);
    await world.advance(5_000);
    const huge = { memberId: "b", ...JOINING, subscribedTopicNames: ["huge"] };
    expect(refused(await beat(world, huge)).error).toBe("INVALID_REQUEST");
    expect(await describeGroup(world)).toMatchObject({ state: "Stable", groupEpoch: 1 });
    expect(partitions(await join(world, "c"))).toEqual([]);
  });

  test("that subscribes to more topics than fit into a row is refused", async () => {
    const world = new GroupWorld();
    for (let index = 0; index < 12_000; index++)
      world.setTopic(`a-topic-with-a-name-of-some-length-${index}`, 1);
    const all = { memberId: "a", ...JOINING, subscribedTopicNames: null, subscribedTopicRegex: "a-.*" };
    expect(refused(await beat(world, all)).error).toBe("INVALID_REQUEST");
    expect(ok(await beat(world, { ...all, subscribedTopicRegex: "a-.*99.*" })).assignment).not.toHaveLength(
      0,
    );
  });

  test("whose pattern comes to match more than can be assigned keeps what it has, and the group goes on", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    const { world } = worldWith(2);
    await join(world, "a", { subscribedTopicNames: null, subscribedTopicRegex: ".*" });
    world.setTopic("huge", 1_000_000);
    await world.advance(5_000);
    expect(partitions(ok(await beat(world, { memberId: "a", memberEpoch: 1 })))).toBeNull();
    world.deleteTopic("huge");
    world.setTopic("other", 1);
    await world.advance(5_000);
    expect(ok(await beat(world, { memberId: "a", memberEpoch: 1 })).assignment).toHaveLength(2);
  });

  test("gets a topic whatever its name", async () => {
    const world = new GroupWorld();
    const topicId = world.setTopic("__proto__", 1);
    const { assignment } = await join(world, "a", { subscribedTopicNames: ["__proto__"] });
    expect(assignment).toEqual([{ topicId, partitions: [0] }]);
  });

  test("of a full group is refused", async () => {
    const world = new GroupWorld({ membersMax: 1 });
    await join(world, "a");
    const result = await beat(world, { memberId: "b", ...JOINING });
    expect(refused(result).error).toBe("GROUP_MAX_SIZE_REACHED");
  });

  test("stops nobody else's partitions when it joins a group of 100 members and 1,000 partitions", async () => {
    const world = new GroupWorld({ membersMax: 1_000 });
    const topicId = world.setTopic("topic", 1_000);
    const owned = new Map<string, readonly number[]>();
    const epochs = new Map<string, number>();
    const settleGroup = async () => {
      for (let rounds = 0; rounds < 4; rounds++) {
        for (const [memberId, memberEpoch] of epochs) {
          const topicPartitions = [{ topicId, partitions: owned.get(memberId) ?? [] }];
          const answer = ok(await beat(world, { memberId, memberEpoch, topicPartitions }));
          epochs.set(memberId, answer.memberEpoch);
          const given = partitions(answer);
          if (given !== null) owned.set(memberId, given);
        }
      }
    };
    const joins = async (memberId: string) => {
      const answer = await join(world, memberId);
      epochs.set(memberId, answer.memberEpoch);
      owned.set(memberId, partitions(answer) ?? []);
    };
    for (let member = 0; member < 100; member++) await joins(`m${member}`);
    await settleGroup();
    const before = new Map(owned);
    await joins("new");
    await settleGroup();
    expect(owned.get("new")).toHaveLength(9);
    let moved = 0;
    for (const [memberId, had] of before) {
      const has = new Set(owned.get(memberId));
      const lost = had.filter((partition) => !has.has(partition));
      // Whoever gives something up keeps all the rest, and nobody is given anything for it.
      expect(has.size).toBe(had.length - lost.length);
      moved += lost.length;
    }
    expect(moved).toBe(9);
    expect([...owned.values()].flat().toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 1_000 }, (_, n) => n),
    );
  });
});

describe("a static member", () => {
  const instance = { instanceId: "i" };

  test("that leaves for a while keeps its partitions until it is back under another id", async () => {
    const { world } = worldWith(2);
    await join(world, "a", instance);
    await join(world, "b");
    const epochBefore = (await describeGroup(world)).groupEpoch;
    const early = await beat(world, { memberId: "a2", ...JOINING, ...instance });
    expect(refused(early).error).toBe("UNRELEASED_INSTANCE_ID");
    await beat(world, { memberId: "a", memberEpoch: -2, ...instance });
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toBeNull();
    const back = await join(world, "a2", instance);
    expect(partitions(back)).toEqual([0]);
    expect((await describeGroup(world)).groupEpoch).toBe(epochBefore);
    const zombie = await beat(world, { memberId: "a", memberEpoch: 1, ...instance });
    expect(refused(zombie).error).toBe("FENCED_INSTANCE_ID");
  });

  test("that does not come back loses its partitions when its session ends", async () => {
    const { world } = worldWith(2);
    await join(world, "a", instance);
    await beat(world, { memberId: "a", memberEpoch: -2, ...instance });
    const second = await join(world, "b");
    expect(partitions(second)).toEqual([]);
    await world.advance(CONSUMER_GROUP_SESSION_TIMEOUT_MS_DEFAULT - 1_000);
    await beat(world, { memberId: "b", memberEpoch: 2 });
    await world.advance(1_000);
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toEqual([0, 1]);
  });
});

describe("topics", () => {
  test("of a member that joins with none, as a client does whose own pattern matches nothing yet, are assigned when it names some", async () => {
    const { world } = worldWith(2);
    expect(await join(world, "a", { subscribedTopicNames: [] })).toMatchObject({
      memberEpoch: 1,
      assignment: [],
    });
    const named = ok(await beat(world, { memberId: "a", memberEpoch: 1, subscribedTopicNames: ["topic"] }));
    expect(partitions(named)).toEqual([0, 1]);
  });

  test("that grow are assigned anew", async () => {
    const { world } = worldWith(1);
    await join(world, "a");
    world.setTopic("topic", 3);
    await world.advance(5_000);
    const grown = ok(await beat(world, { memberId: "a", memberEpoch: 1 }));
    expect(grown.memberEpoch).toBe(2);
    expect(partitions(grown)).toEqual([0, 1, 2]);
  });

  test("that do not exist yet are assigned when they do, and are taken back when they are deleted", async () => {
    const { world, topicId } = worldWith(1);
    await join(world, "a", { subscribedTopicNames: ["topic", "later"] });
    const laterId = world.setTopic("later", 2);
    await world.advance(5_000);
    expect(ok(await beat(world, { memberId: "a", memberEpoch: 1 })).assignment).toEqual(
      [
        { topicId: laterId, partitions: [0, 1] },
        { topicId, partitions: [0] },
      ].toSorted((one, other) => (one.topicId < other.topicId ? 1 : -1)),
    );
    world.deleteTopic("topic");
    await world.advance(5_000);
    expect(ok(await beat(world, { memberId: "a", memberEpoch: 2 })).assignment).toEqual([
      { topicId: laterId, partitions: [0, 1] },
    ]);
  });

  test("are asked for once in a while, and cost the Controller nothing while they stay as they are", async () => {
    const { world } = worldWith(1);
    await join(world, "a");
    const asked = world.topicLookUps;
    for (let beats = 0; beats < 20; beats++) {
      await world.advance(5_000);
      await beat(world, { memberId: "a", memberEpoch: 1 });
      await beat(world, { memberId: "a", memberEpoch: 1 });
    }
    expect(world.topicLookUps).toBe(asked);
    expect(world.versionLookUps).toBeLessThan(25);
  });

  test("of names and a new pattern brings the topics named at once, and what the pattern matches with the next heartbeat", async () => {
    const { world, topicId } = worldWith(2);
    const matched = world.setTopic("orders-eu", 1);
    const subscription = { subscribedTopicNames: ["topic"], subscribedTopicRegex: "orders-.*" };
    const joined = await join(world, "a", subscription);
    expect(joined.assignment).toEqual([{ topicId, partitions: [0, 1] }]);
    const taken = { memberId: "a", memberEpoch: 1, topicPartitions: joined.assignment };
    expect(ok(await beat(world, taken)).assignment).toEqual([
      { topicId, partitions: [0, 1] },
      { topicId: matched, partitions: [0] },
    ]);
  });

  test("that match a regular expression as a whole are subscribed to, also later ones", async () => {
    const { world } = worldWith(1);
    world.setTopic("orders-1", 1);
    world.setTopic("all-orders-1", 1);
    const regex = { subscribedTopicNames: null, subscribedTopicRegex: "orders-.*" };
    const joined = await join(world, "a", regex);
    expect(joined.assignment?.map(({ topicId }) => topicId)).toEqual(["orders-1".padEnd(22, "_")]);
    world.setTopic("orders-2", 2);
    await world.advance(5_000);
    const grown = ok(await beat(world, { memberId: "a", memberEpoch: 1 }));
    expect(grown.assignment?.map((topic) => topic.partitions)).toEqual([[0], [0, 1]]);
    expect((await describeGroup(world)).members[0]?.subscribedTopicRegex).toBe("orders-.*");
    const deleted = await world.ask((group) =>
      group.deleteOffsets([{ topicId: "x", topic: "orders-9", partitions: [0] }]),
    );
    expect(ok(deleted)[0]?.error).toBe("GROUP_SUBSCRIBED_TO_TOPIC");
  });

  test("that a regular expression would take for ever to match do not hold up the coordinator", async () => {
    const { world } = worldWith(1);
    world.setTopic("a".repeat(200), 1);
    const evil = { subscribedTopicNames: null, subscribedTopicRegex: "(a+)+(a+)+(a+)+b" };
    const startedMs = performance.now();
    expect((await join(world, "a", evil)).assignment).toEqual([]);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  test("are assigned as before while the Controller is down", async () => {
    const { world } = worldWith(2);
    await join(world, "a");
    await join(world, "b");
    world.isControllerDown = true;
    await world.evict();
    await world.advance(5_000);
    await beat(world, { memberId: "a", memberEpoch: -1 });
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toEqual([0, 1]);
  });

  test("of equal size are divided alike by the range assignor", async () => {
    const world = new GroupWorld();
    world.setTopic("one", 4);
    world.setTopic("two", 4);
    const range = { subscribedTopicNames: ["one", "two"], serverAssignor: "range" };
    await join(world, "a", range);
    await join(world, "b", range);
    const { members, assignor } = await describeGroup(world);
    expect(assignor).toBe("range");
    expect(members.map(({ targetAssignment }) => targetAssignment.map((topic) => topic.partitions))).toEqual([
      [
        [0, 1],
        [0, 1],
      ],
      [
        [2, 3],
        [2, 3],
      ],
    ]);
  });
});

describe("offsets of such a group", () => {
  test("are committed and asked for at the member's epoch", async () => {
    const { world, topicId } = worldWith(1);
    await join(world, "a");
    const commit = (request: object) =>
      world.ask((group) =>
        group.commitOffsets(commitRequest({ memberId: "a", generation: 1, ...request }, { topicId })),
      );
    expect(ok(await commit({}))[0]?.error).toBeNull();
    expect(refused(await commit({ generation: 2 })).error).toBe("STALE_MEMBER_EPOCH");
    expect(refused(await commit({ memberId: "b" })).error).toBe("UNKNOWN_MEMBER_ID");
    expect(refused(await commit({ memberId: "", generation: -1 })).error).toBe("UNKNOWN_MEMBER_ID");
    expect(refused(await commit({ knowsMemberEpochs: false })).error).toBe("UNSUPPORTED_VERSION");
    const fetch = (memberId: string | null, memberEpoch: number) =>
      world.ask((group) =>
        group.fetchOffsets({ memberId, memberEpoch, topics: [{ topicId, partitions: [0] }] }),
      );
    expect(ok(await fetch("a", 1))).toHaveLength(1);
    expect(ok(await fetch(null, -1))).toHaveLength(1);
    expect(refused(await fetch("a", 0)).error).toBe("STALE_MEMBER_EPOCH");
    expect(refused(await fetch("b", 1)).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("are taken at an epoch that a member has left behind, of what it has had since then (KIP-1251)", async () => {
    const { world, topicId } = worldWith(4);
    await join(world, "a");
    await join(world, "b");
    const kept = [{ topicId, partitions: [0, 1] }];
    await beat(world, { memberId: "a", memberEpoch: 1 });
    const commit = (memberId: string, generation: number, ...partitions: number[]) => {
      const offsets = partitions.map((partition) => ({ topicId, partition, offset: 7 }));
      return world.ask((group) => group.commitOffsets(commitRequest({ memberId, generation }, ...offsets)));
    };
    // Told to give them up, and not done yet.
    expect(ok(await commit("a", 1, 2))[0]?.error).toBeNull();
    await beat(world, { memberId: "a", memberEpoch: 1, topicPartitions: kept });
    await beat(world, { memberId: "b", memberEpoch: 2 });
    expect((await describeGroup(world)).members.map(({ memberEpoch }) => memberEpoch)).toEqual([2, 2]);
    expect(ok(await commit("a", 1, 0, 1)).map(({ error }) => error)).toEqual([null, null]);
    expect(refused(await commit("a", 1, 0, 2)).error).toBe("STALE_MEMBER_EPOCH");
    expect(refused(await commit("b", 1, 2)).error).toBe("STALE_MEMBER_EPOCH");
    expect(refused(await commit("a", 3, 0)).error).toBe("STALE_MEMBER_EPOCH");
    expect(ok(await commit("a", 2, 0))[0]?.error).toBeNull();
    const before = commitRequest({ memberId: "a", generation: 1 }, { topicId, partition: 0, offset: 6 });
    expect(refused(await world.ask((group) => group.commitOffsets(before))).error).toBe("STALE_MEMBER_EPOCH");
    // Who joins again has what it had, and has it anew.
    await join(world, "a");
    expect((await describeGroup(world)).members[0]?.memberEpoch).toBe(2);
    expect(refused(await commit("a", 1, 0)).error).toBe("STALE_MEMBER_EPOCH");
  });

  test("stay when the group, empty, goes over to the other protocol", async () => {
    const { world, topicId } = worldWith(1);
    await join(world, "a");
    const commit = commitRequest({ memberId: "a", generation: 1 }, { topicId, offset: 8 });
    await world.ask((group) => group.commitOffsets(commit));
    await beat(world, { memberId: "a", memberEpoch: -1 });
    const member = await alone(world);
    expect(await world.ask((group) => group.summary())).toMatchObject({ type: "classic", state: "Stable" });
    await world.ask((group) => group.leaveGroup([{ memberId: member.memberId, instanceId: null }]));
    await join(world, "b");
    expect(await world.ask((group) => group.summary())).toMatchObject({ type: "consumer", state: "Stable" });
    const all = { memberId: null, memberEpoch: -1, topics: null };
    expect(ok(await world.ask((group) => group.fetchOffsets(all)))[0]?.offset).toBe(8);
  });
});

describe("an object that was lost", () => {
  test("remembers who has what, and goes on reconciling", async () => {
    const { world, topicId } = worldWith(2);
    await join(world, "a");
    await join(world, "b");
    await beat(world, { memberId: "a", memberEpoch: 1 });
    const before = await describeGroup(world);
    world.kill();
    expect(await describeGroup(world)).toEqual(before);
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toBeNull();
    await beat(world, { memberId: "a", memberEpoch: 1, topicPartitions: [{ topicId, partitions: [0] }] });
    expect(partitions(ok(await beat(world, { memberId: "b", memberEpoch: 2 })))).toEqual([1]);
  });

  test("before its answer was durable has not moved the member on", async () => {
    const { world } = worldWith(1);
    await join(world, "a");
    world.setTopic("topic", 2);
    await world.advance(5_000);
    const lost = expect(
      world.call((group) =>
        group.consumerGroupHeartbeat(heartbeatRequest({ memberId: "a", memberEpoch: 1 })),
      ),
    ).rejects.toThrow(LostObject);
    for (let turns = 0; turns < 5; turns++) await turn();
    world.kill();
    await lost;
    expect((await describeGroup(world)).members[0]?.memberEpoch).toBe(1);
    expect(partitions(ok(await beat(world, { memberId: "a", memberEpoch: 1 })))).toEqual([0, 1]);
  });

  test("does not keep members for ever that nobody hears of", async () => {
    const { world } = worldWith(1);
    await join(world, "a");
    let wakings = 0;
    while (world.storage.alarmAtMs !== null && wakings < 20) {
      await world.evict();
      world.nowMs = Math.max(world.nowMs, world.storage.alarmAtMs ?? world.nowMs);
      await world.alarm();
      wakings++;
    }
    expect(refused(await world.ask((group) => group.describe())).error).toBe("GROUP_ID_NOT_FOUND");
    expect(wakings).toBeLessThan(6);
  });
});

test("heartbeats of a settled group write nothing", async () => {
  const { world } = worldWith(2);
  await join(world, "a");
  const before = world.storage.rowsWritten;
  for (let beats = 0; beats < 50; beats++) {
    await world.advance(5_000);
    await beat(world, { memberId: "a", memberEpoch: 1 });
  }
  expect(world.storage.rowsWritten).toBe(before);
});
