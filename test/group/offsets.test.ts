import { describe, expect, test } from "vitest";
import type { CommitOffsetsRequest, OffsetToCommit } from "../../durable-objects/group/rpc.ts";
import { OFFSETS_PER_GROUP_MAX } from "../../src/model/limits.ts";
import { ok, refused } from "../cluster/results.ts";
import { alone, commitRequest, joining, TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { GROUP_ID, GroupWorld, LostObject, turn } from "./group-world.ts";

const OTHER_ID = "BBBBBBBBBBBBBBBBBBBBBB";
const DAY_MS = 24 * 3_600_000;

function commit(
  world: GroupWorld,
  request: Partial<CommitOffsetsRequest>,
  ...offsets: Partial<OffsetToCommit>[]
) {
  return world.ask((group) => group.commitOffsets(commitRequest(request, ...offsets)));
}

/** partition → offset, of all topics. */
async function stored(world: GroupWorld): Promise<Record<string, number>> {
  const offsets = ok(
    await world.ask((group) => group.fetchOffsets({ memberId: null, memberEpoch: -1, topics: null })),
  );
  return Object.fromEntries(offsets.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]));
}

describe("offsets", () => {
  test("of a consumer that manages its partitions itself make a group that only holds them", async () => {
    const world = new GroupWorld();
    const full = { partition: 3, offset: 42, leaderEpoch: 7, metadata: "note" };
    ok(await commit(world, {}, full));
    const topics = [{ topicId: TOPIC_ID, partitions: [3, 4] }];
    const fetched = await world.ask((group) =>
      group.fetchOffsets({ memberId: null, memberEpoch: -1, topics }),
    );
    expect(fetched).toEqual([{ topicId: TOPIC_ID, topic: TOPIC, ...full, committedAtMs: world.nowMs }]);
    expect(ok(await world.ask((group) => group.summary()))).toEqual({
      type: "classic",
      state: "Empty",
      protocolType: "",
      memberCount: 0,
    });
    expect([...world.registered]).toEqual([GROUP_ID]);
  });

  test("of a group that nobody has used are none, and asking writes nothing", async () => {
    const world = new GroupWorld();
    expect(await stored(world)).toEqual({});
    expect(world.storage.rowsWritten).toBe(0);
    expect(world.registered.size).toBe(0);
  });

  test("are not told by an object that has been replaced, not even that there are none", async () => {
    const world = new GroupWorld();
    const replaced = world.coordinator;
    world.kill();
    ok(await commit(world, {}, { offset: 1 }));
    const topics = [{ topicId: TOPIC_ID, partitions: [0] }];
    const fetched = replaced.fetchOffsets({ memberId: null, memberEpoch: -1, topics });
    await expect(fetched).rejects.toThrow("the object is dead");
  });

  test("of an unknown group's member are refused as its protocol's age demands", async () => {
    const world = new GroupWorld();
    const member = { memberId: "m", generation: 3 };
    expect(refused(await commit(world, member, {})).error).toBe("GROUP_ID_NOT_FOUND");
    const old = await commit(world, { ...member, knowsMemberEpochs: false }, {});
    expect(refused(old).error).toBe("ILLEGAL_GENERATION");
  });

  test("of a group with members are committed by these alone, in their generation", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world);
    ok(await commit(world, { memberId, generation }, { offset: 5 }));
    expect(refused(await commit(world, {}, { offset: 1 })).error).toBe("UNKNOWN_MEMBER_ID");
    expect(refused(await commit(world, { memberId: "nobody", generation }, {})).error).toBe(
      "UNKNOWN_MEMBER_ID",
    );
    expect(refused(await commit(world, { memberId, generation: 0 }, {})).error).toBe("ILLEGAL_GENERATION");
    expect(await stored(world)).toEqual({ "topic-0": 5 });
    await world.ask((group) => group.leaveGroup([{ memberId, instanceId: null }]));
    ok(await commit(world, {}, { offset: 1 }));
    expect(await stored(world)).toEqual({ "topic-0": 1 });
  });

  test("are still taken while a rebalance gathers members, and not while they wait for their assignment", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world);
    const { memberId: secondId, joined } = await joining(world);
    ok(await commit(world, { memberId, generation }, { offset: 5 }));
    await world.advance(10_000);
    const second = ok(await joined);
    const early = { memberId: secondId, generation: second.generation };
    expect(refused(await commit(world, early, {})).error).toBe("REBALANCE_IN_PROGRESS");
  });

  test("with metadata of more than 4096 characters are refused one by one", async () => {
    const world = new GroupWorld();
    const results = ok(
      await commit(
        world,
        {},
        { partition: 0, metadata: "x".repeat(4_097) },
        { partition: 1, metadata: "x".repeat(4_096) },
      ),
    );
    expect(results.map(({ error }) => error)).toEqual(["OFFSET_METADATA_TOO_LARGE", null]);
    expect(await stored(world)).toEqual({ "topic-1": 0 });
  });

  test("committed while a commit is in flight are written together", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 1 }));
    const commits = [1, 2, 3].map((offset) =>
      world.call((group) => group.commitOffsets(commitRequest({}, { partition: offset, offset }))),
    );
    await turn();
    // The first is written; the others wait for it to be durable.
    expect(world.unanswered).toBe(2);
    world.confirm();
    await turn();
    expect(world.unanswered).toBe(0);
    world.confirm();
    await Promise.all(commits);
    expect(await stored(world)).toEqual({ "topic-0": 1, "topic-1": 1, "topic-2": 2, "topic-3": 3 });
  });

  test("that wait for their turn are written before whatever is asked after them", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world);
    const member = { memberId, generation };
    const first = world.call((group) => group.commitOffsets(commitRequest(member, { offset: 1 })));
    const second = world.call((group) => group.commitOffsets(commitRequest(member, { offset: 2 })));
    const left = world.call((group) => group.leaveGroup([{ memberId, instanceId: null }]));
    await world.settle();
    await Promise.all([first, second, left]);
    expect(ok(await second)[0]?.error).toBeNull();
    expect(await stored(world)).toEqual({ "topic-0": 2 });
  });

  test("are told page by page, by topic name and partition, each once", async () => {
    const world = new GroupWorld();
    const topics = { zebra: 3, apple: 2, mango: 4 };
    for (const [topic, partitions] of Object.entries(topics)) {
      const topicId = world.setTopic(topic, partitions);
      const offsets = Array.from({ length: partitions }, (_, partition) => ({ topicId, topic, partition }));
      ok(await commit(world, {}, ...offsets.reverse()));
    }
    const whole = ok(await world.ask((group) => group.offsetsPage({ limit: 100 })));
    expect(whole).toMatchObject({ type: "classic", state: "Empty", memberCount: 0, isLast: true });
    const names = whole.offsets.map(({ topic, partition }) => `${topic}-${partition}`);
    expect(names).toEqual([...names].sort());
    expect(names).toHaveLength(9);
    for (let limit = 1; limit <= 9; limit++) {
      const found: unknown[] = [];
      for (let isLast = false; !isLast; ) {
        const after = whole.offsets[found.length - 1];
        const page = ok(
          await world.ask((group) => group.offsetsPage({ limit, ...(after !== undefined && { after }) })),
        );
        found.push(...page.offsets);
        isLast = page.isLast;
      }
      expect(found).toEqual(whole.offsets);
    }
  });

  test("that were answered survive a kill; those that were not may be gone", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 1 }));
    const lost = expect(
      world.call((group) => group.commitOffsets(commitRequest({}, { offset: 2 }))),
    ).rejects.toThrow(LostObject);
    await turn();
    world.kill();
    await lost;
    expect(await stored(world)).toEqual({ "topic-0": 1 });
  });
});

describe("deleting", () => {
  test("offsets: not of topics that the group is subscribed to", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world);
    const other = { topicId: OTHER_ID, topic: "other" };
    ok(await commit(world, { memberId, generation }, { offset: 1 }, { ...other, offset: 2 }));
    const topics = [
      { topicId: TOPIC_ID, topic: TOPIC, partitions: [0] },
      { ...other, partitions: [0, 1] },
    ];
    const deleted = ok(await world.ask((group) => group.deleteOffsets(topics)));
    expect(deleted.map(({ error }) => error)).toEqual(["GROUP_SUBSCRIBED_TO_TOPIC", null, null]);
    expect(await stored(world)).toEqual({ "topic-0": 1 });
  });

  test("offsets of members that are not consumers is refused", async () => {
    const world = new GroupWorld();
    await alone(world, { protocolType: "connect" });
    expect(refused(await world.ask((group) => group.deleteOffsets([]))).error).toBe("NON_EMPTY_GROUP");
  });

  test("a topic takes its offsets along, and a topic made anew under its name has none", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 9 }));
    world.deletedTopics.add(TOPIC_ID);
    // A topic that was made anew under the same name has another id, and no offsets.
    const topics = [{ topicId: OTHER_ID, partitions: [0] }];
    expect(
      await world.ask((group) => group.fetchOffsets({ memberId: null, memberEpoch: -1, topics })),
    ).toEqual([]);
    const written = world.storage.rowsWritten;
    expect(await stored(world)).toEqual({});
    expect(world.storage.rowsWritten).toBeGreaterThan(written);
  });

  test("a topic takes only its own offsets along, however many others there are", async () => {
    const world = new GroupWorld();
    const topics = Array.from({ length: 1_500 }, (_, index) => `t${index}`.padEnd(22, "_"));
    ok(await commit(world, {}, ...topics.map((topicId) => ({ topicId, topic: topicId, offset: 1 }))));
    world.deletedTopics.add(topics[3] ?? "");
    expect(Object.keys(await stored(world))).toHaveLength(1_499);
  });

  test("a topic makes room in a group that is full", { timeout: 60_000 }, async () => {
    const world = new GroupWorld();
    const share = OFFSETS_PER_GROUP_MAX / 4;
    for (let from = 0; from < OFFSETS_PER_GROUP_MAX; from += share) {
      const offsets = Array.from({ length: share }, (_, index) => ({ partition: from + index, offset: 1 }));
      ok(await commit(world, {}, ...offsets));
    }
    const another = { topicId: OTHER_ID, topic: "other", partition: 0, offset: 1 };
    const tooMany = { topicId: OTHER_ID, partition: 0, error: "INVALID_COMMIT_OFFSET_SIZE" };
    expect(ok(await commit(world, {}, another))).toEqual([tooMany]);
    const again = { partition: 0, error: null };
    expect(ok(await commit(world, {}, { partition: 0, offset: 2 }))).toMatchObject([again]);
    world.deletedTopics.add(TOPIC_ID);
    expect(ok(await commit(world, {}, another))).toEqual([tooMany]);
    expect(ok(await commit(world, {}, another))).toEqual([{ ...tooMany, error: null }]);
  });

  test("a group that has no members goes with its last offset, at the next check", async () => {
    for (const remove of ["topic", "offsets"]) {
      const world = new GroupWorld();
      ok(await commit(world, {}, { offset: 9 }));
      await world.advance(DAY_MS);
      if (remove === "topic") world.deletedTopics.add(TOPIC_ID);
      const topics = [{ topicId: TOPIC_ID, topic: TOPIC, partitions: [0] }];
      if (remove === "offsets") ok(await world.ask((group) => group.deleteOffsets(topics)));
      expect(await stored(world)).toEqual({});
      expect(world.registered.size).toBe(1);
      await world.advance(world.settings.offsetsRetentionCheckMs / 2);
      // Who asks again does not put it off.
      ok(await world.ask((group) => group.deleteOffsets(topics)));
      expect(await stored(world)).toEqual({});
      await world.advance(world.settings.offsetsRetentionCheckMs / 2);
      expect(world.registered.size).toBe(0);
      expect(refused(await world.ask((group) => group.summary())).error).toBe("GROUP_ID_NOT_FOUND");
    }
  });

  test("topics by the Controller's walk can be repeated", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 9 }));
    await world.ask((group) => group.forgetTopics([TOPIC_ID, OTHER_ID]));
    await world.ask((group) => group.forgetTopics([TOPIC_ID]));
    expect(await stored(world)).toEqual({});
  });

  test("a group needs it to be empty, and leaves nothing behind", async () => {
    const world = new GroupWorld();
    expect(refused(await world.ask((group) => group.deleteGroup())).error).toBe("GROUP_ID_NOT_FOUND");
    const { memberId, generation } = await alone(world);
    ok(await commit(world, { memberId, generation }, { offset: 5 }));
    expect(refused(await world.ask((group) => group.deleteGroup())).error).toBe("NON_EMPTY_GROUP");
    await world.ask((group) => group.leaveGroup([{ memberId, instanceId: null }]));
    expect(await world.ask((group) => group.deleteGroup())).toBeNull();
    expect(world.registered.size).toBe(0);
    expect(refused(await world.ask((group) => group.summary())).error).toBe("GROUP_ID_NOT_FOUND");
    await world.evict();
    expect(await stored(world)).toEqual({});
    await world.advance(30 * DAY_MS);
    expect(world.storage.alarmAtMs).toBeNull();
  });

  test("a group while all its offsets are asked for tells of none", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 1 }));
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    world.topicLookUpsHeld = held;
    const all = { memberId: null, memberEpoch: -1, topics: null };
    const fetched = world.call((group) => group.fetchOffsets(all));
    expect(await world.ask((group) => group.deleteGroup())).toBeNull();
    release();
    await world.settle();
    expect(ok(await fetched)).toEqual([]);
  });

  test("a group whose last session has ended does not wait for the alarm", async () => {
    const world = new GroupWorld();
    await alone(world, { sessionTimeoutMs: 10_000 });
    world.nowMs += 10_000;
    expect(await world.ask((group) => group.deleteGroup())).toBeNull();
  });

  test("a group while the Controller is down is made up for later", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 1 }));
    world.isControllerDown = true;
    expect(await world.ask((group) => group.deleteGroup())).toBeNull();
    expect(world.registered.size).toBe(1);
    await world.evict();
    world.isControllerDown = false;
    await world.advance(120_000);
    expect(world.registered.size).toBe(0);
  });

  test("a group that is used again meanwhile leaves it registered", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 1 }));
    const deleted = world.call((group) => group.deleteGroup());
    const committed = world.call((group) => group.commitOffsets(commitRequest({}, { offset: 2 })));
    await world.settle();
    await world.settle();
    expect(await deleted).toBeNull();
    ok(await committed);
    expect([...world.registered]).toEqual([GROUP_ID]);
    expect(await stored(world)).toEqual({ "topic-0": 2 });
    await world.evict();
    expect(await stored(world)).toEqual({ "topic-0": 2 });
  });
});

describe("expiry", () => {
  test("of a group that only holds offsets: 7 days after each commit, and then the group goes too", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { partition: 0, offset: 1 }));
    await world.advance(3 * DAY_MS);
    ok(await commit(world, {}, { partition: 1, offset: 1 }));
    await world.advance(4 * DAY_MS - 1);
    expect(await stored(world)).toEqual({ "topic-0": 1, "topic-1": 1 });
    await world.advance(DAY_MS);
    expect(await stored(world)).toEqual({ "topic-1": 1 });
    await world.advance(3 * DAY_MS);
    expect(refused(await world.ask((group) => group.summary())).error).toBe("GROUP_ID_NOT_FOUND");
    expect(world.registered.size).toBe(0);
    expect(world.storage.alarmAtMs).toBeNull();
  });

  test("of a group that has had members: 7 days after the last of them has left", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world, { sessionTimeoutMs: 1_800_000 });
    ok(await commit(world, { memberId, generation }, { offset: 1 }));
    await world.advance(1_000_000);
    await world.ask((group) => group.leaveGroup([{ memberId, instanceId: null }]));
    await world.advance(7 * DAY_MS - 1_000);
    expect(await stored(world)).toEqual({ "topic-0": 1 });
    await world.advance(1_200_000);
    expect(await stored(world)).toEqual({});
  });

  test("after the time that an old client asks for", async () => {
    const world = new GroupWorld();
    ok(await commit(world, { retentionMs: 3_600_000 }, { offset: 1 }));
    await world.advance(3_600_000 - 1);
    expect(await stored(world)).toEqual({ "topic-0": 1 });
    await world.advance(600_001);
    expect(await stored(world)).toEqual({});
  });

  test("never of topics that a stable group is subscribed to", async () => {
    const world = new GroupWorld();
    const member = { ...(await alone(world, { sessionTimeoutMs: 1_800_000 })) };
    const { memberId, generation } = member;
    const other = { topicId: OTHER_ID, topic: "other" };
    ok(await commit(world, { memberId, generation }, { offset: 1 }, { ...other, offset: 1 }));
    for (let days = 0; days < 15; days += 0.02) {
      await world.advance(0.02 * DAY_MS);
      await world.ask((group) => group.heartbeat({ memberId, instanceId: null, generation }));
    }
    expect(await stored(world)).toEqual({ "topic-0": 1 });
  });

  test("never while a group rebalances, not even after the time that an old client asks for", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world, { sessionTimeoutMs: 1_800_000 });
    const other = { topicId: OTHER_ID, topic: "other" };
    const request = { memberId, generation, retentionMs: 60_000 };
    ok(await commit(world, request, { offset: 1 }, { ...other, offset: 1 }));
    await world.advance(590_000);
    await joining(world, { sessionTimeoutMs: 1_800_000 });
    await world.advance(20_000);
    expect(ok(await world.ask((group) => group.summary())).state).toBe("PreparingRebalance");
    expect(await stored(world)).toEqual({ "topic-0": 1, "other-0": 1 });
  });

  test("is not put off by whoever wakes the group in order to ask", async () => {
    const world = new GroupWorld();
    ok(await commit(world, {}, { offset: 1 }));
    await world.advance(7 * DAY_MS - 300_000);
    for (let minutes = 0; minutes < 60; minutes++) {
      await world.evict();
      await world.advance(60_000);
      await world.ask((group) => group.summary());
    }
    expect(refused(await world.ask((group) => group.summary())).error).toBe("GROUP_ID_NOT_FOUND");
  });

  test("forgets the topics that nothing is committed of any more", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world, { sessionTimeoutMs: 1_800_000 });
    const other = { topicId: OTHER_ID, topic: "other" };
    ok(await commit(world, { memberId, generation }, { offset: 1 }, { ...other, offset: 1 }));
    for (let days = 0; days < 8; days += 0.02) {
      await world.advance(0.02 * DAY_MS);
      await world.ask((group) => group.heartbeat({ memberId, instanceId: null, generation }));
    }
    expect(world.storage.exec("SELECT name FROM topics")).toEqual([{ name: "topic" }]);
    ok(await commit(world, { memberId, generation }, { ...other, offset: 2 }));
    expect(await stored(world)).toEqual({ "topic-0": 1, "other-0": 2 });
  });
});
