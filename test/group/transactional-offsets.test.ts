import { describe, expect, test } from "vitest";
import type { OffsetToCommit } from "../../durable-objects/group/rpc.ts";
import { OFFSETS_PER_GROUP_MAX } from "../../src/model/limits.ts";
import { ok, refused } from "../cluster/results.ts";
import { alone, commitRequest, joining, joinRequest, TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { heartbeatRequest } from "./consumer-client.ts";
import { GROUP_ID, GroupWorld, LostObject, turn } from "./group-world.ts";
import { commitIn, end, fetched, tell, transactionalCommit } from "./transaction-steps.ts";

const OTHER_ID = "BBBBBBBBBBBBBBBBBBBBBB";
const DAY_MS = 24 * 3_600_000;
const ENDS: [string, boolean][] = [
  ["committed", true],
  ["aborted", false],
];

function commit(world: GroupWorld, ...offsets: Partial<OffsetToCommit>[]) {
  return world.ask((group) => group.commitOffsets(commitRequest({}, ...offsets)));
}

describe("offsets of a transaction", () => {
  test("count when it is committed, and not before", async () => {
    const world = new GroupWorld();
    ok(await commit(world, { partition: 0, offset: 1 }));
    ok(await commitIn(world, "t", {}, { partition: 0, offset: 5 }, { partition: 1, offset: 6 }));
    expect(await fetched(world)).toEqual({ "topic-0": 1 });
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 5, "topic-1": 6 });
  });

  test("never count when it is aborted", async () => {
    const world = new GroupWorld();
    ok(await commit(world, { partition: 0, offset: 1 }));
    ok(await commitIn(world, "t", {}, { partition: 0, offset: 5 }, { partition: 1, offset: 6 }));
    await end(world, "t", false);
    expect(await fetched(world, true)).toEqual({ "topic-0": 1 });
  });

  test("are told with all that was committed with them", async () => {
    const world = new GroupWorld();
    const full = { partition: 3, offset: 42, leaderEpoch: 7, metadata: "ü" };
    ok(await commitIn(world, "t", {}, full));
    const committedAtMs = world.nowMs;
    await world.advance(1_000);
    await end(world, "t", true);
    const topics = [{ topicId: TOPIC_ID, partitions: [3] }];
    expect(
      await world.ask((group) => group.fetchOffsets({ memberId: null, memberEpoch: -1, topics })),
    ).toEqual([{ topicId: TOPIC_ID, topic: TOPIC, ...full, committedAtMs }]);
  });

  test("make a group that only holds offsets, and register it", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { offset: 5 }));
    expect([...world.registered]).toEqual([GROUP_ID]);
    expect(ok(await world.ask((group) => group.summary()))).toMatchObject({
      state: "Empty",
      protocolType: "",
    });
  });

  test("of one transaction come in several requests, and its coordinator is asked once", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { partition: 0, offset: 5 }, { partition: 1, offset: 5 }));
    ok(await commitIn(world, "t", {}, { partition: 1, offset: 6 }));
    await world.evict();
    ok(await commitIn(world, "t", {}, { partition: 2, offset: 7 }));
    expect(world.transactions.joins).toBe(1);
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 5, "topic-1": 6, "topic-2": 7 });
    ok(await commitIn(world, "t", {}, { offset: 8 }));
    expect(world.transactions.joins).toBe(2);
  });

  test.each(ENDS)(
    "that is %s survive an eviction, a kill and an outcome told twice",
    async (_, committed) => {
      const world = new GroupWorld();
      ok(await commitIn(world, "t", {}, { offset: 5 }));
      await world.evict();
      world.kill();
      expect(await fetched(world, true)).toEqual({ "topic-0": "unstable" });
      const outcome = world.transactions.of("t").end(committed);
      const lost = expect(world.call((group) => group.writeTransactionMarker(outcome))).rejects.toThrow(
        LostObject,
      );
      await turn();
      world.kill();
      await lost;
      expect(await fetched(world, true)).toEqual({ "topic-0": "unstable" });
      expect(await tell(world, outcome)).toBeNull();
      world.kill();
      expect(await tell(world, outcome)).toBeNull();
      expect(await fetched(world, true)).toEqual(committed ? { "topic-0": 5 } : {});
    },
  );

  test("are not touched by what is told late of an earlier one, however often", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { offset: 5 }));
    const aborted = world.transactions.of("t").end(false);
    await tell(world, aborted);
    ok(await commitIn(world, "t", {}, { offset: 6 }));
    await tell(world, aborted);
    await world.evict();
    await tell(world, aborted);
    expect(await fetched(world, true)).toEqual({ "topic-0": "unstable" });
    await end(world, "t", true);
    await tell(world, aborted);
    expect(await fetched(world, true)).toEqual({ "topic-0": 6 });
  });

  test("of a group that knows nothing of it are none, and being told so writes nothing", async () => {
    const world = new GroupWorld();
    expect(await tell(world, world.transactions.of("t").end(true))).toBeNull();
    expect(world.storage.rowsWritten).toBe(0);
    expect(world.registered.size).toBe(0);
  });

  test("with metadata of more than 4096 characters are refused one by one", async () => {
    const world = new GroupWorld();
    const results = ok(
      await commitIn(
        world,
        "t",
        {},
        { partition: 0, metadata: "x".repeat(4_097) },
        { partition: 1, offset: 1 },
      ),
    );
    expect(results.map(({ error }) => error)).toEqual(["OFFSET_METADATA_TOO_LARGE", null]);
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-1": 1 });
  });

  test("fill a group like others, until topics that are deleted make room", { timeout: 60_000 }, async () => {
    const world = new GroupWorld();
    const share = OFFSETS_PER_GROUP_MAX / 8;
    const offsetsFrom = (from: number) =>
      Array.from({ length: share }, (_, index) => ({ partition: from + index, offset: 1 }));
    for (let from = 0; from < OFFSETS_PER_GROUP_MAX; from += share) {
      const offsets = offsetsFrom(from);
      ok(from === 0 ? await commit(world, ...offsets) : await commitIn(world, "t", {}, ...offsets));
    }
    const another = { topicId: OTHER_ID, topic: "other", offset: 1 };
    const full = { topicId: OTHER_ID, partition: 0, error: "INVALID_COMMIT_OFFSET_SIZE" };
    expect(ok(await commit(world, another))).toEqual([full]);
    expect(ok(await commitIn(world, "t", {}, another))).toEqual([full]);
    expect(ok(await commitIn(world, "t", {}, { partition: share, offset: 2 }))).toMatchObject([
      { error: null },
    ]);
    await end(world, "t", true);
    expect(ok(await commit(world, another))).toEqual([full]);
    world.deletedTopics.add(TOPIC_ID);
    expect(ok(await commitIn(world, "t", {}, another))).toEqual([full]);
    expect(ok(await commitIn(world, "t", {}, another))).toEqual([{ ...full, error: null }]);
  });
});

describe("of a plain commit and those of transactions", () => {
  test("the one that was made last counts, whenever the transaction is committed", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { partition: 0, offset: 5 }, { partition: 1, offset: 5 }));
    ok(await commit(world, { partition: 0, offset: 1 }));
    expect(await fetched(world, true)).toEqual({ "topic-0": "unstable", "topic-1": "unstable" });
    await world.evict();
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 1, "topic-1": 5 });
  });

  test("one that is made again in the transaction is the last", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { offset: 5 }));
    ok(await commit(world, { offset: 1 }));
    ok(await commitIn(world, "t", {}, { offset: 6 }));
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 6 });
  });

  test("that waits for its turn was made before the transaction's", async () => {
    const world = new GroupWorld();
    const plain = [1, 2].map((offset) =>
      world.call((group) => group.commitOffsets(commitRequest({}, { offset }))),
    );
    ok(await commitIn(world, "t", {}, { offset: 5 }));
    await Promise.all(plain);
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 5 });
  });

  test("two transactions', the later one counts in whichever order they are committed", async () => {
    for (const order of [
      ["one", "two"],
      ["two", "one"],
    ]) {
      const world = new GroupWorld();
      ok(await commitIn(world, "one", {}, { partition: 0, offset: 1 }, { partition: 1, offset: 1 }));
      await world.evict();
      ok(await commitIn(world, "two", {}, { partition: 0, offset: 2 }));
      for (const transactionalId of order) await end(world, transactionalId, true);
      expect(await fetched(world)).toEqual({ "topic-0": 2, "topic-1": 1 });
    }
  });

  test("one that was aborted has overtaken nothing", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "one", {}, { offset: 1 }));
    ok(await commitIn(world, "two", {}, { offset: 2 }));
    await end(world, "two", false);
    await end(world, "one", true);
    expect(await fetched(world)).toEqual({ "topic-0": 1 });
  });
});

describe("a group takes part in a transaction", () => {
  test("only if its coordinator says so, and leaves nothing behind if not", async () => {
    const world = new GroupWorld();
    const { transactionalId, producerId } = world.transactions.of("t");
    const stranger = transactionalCommit({ transactionalId, producerId: 7, producerEpoch: 0 }, {}, {});
    const fenced = transactionalCommit({ transactionalId, producerId, producerEpoch: 3 }, {}, {});
    const answers = [
      refused(await world.ask((group) => group.commitTransactionOffsets(stranger))).error,
      refused(await world.ask((group) => group.commitTransactionOffsets(fenced))).error,
      refused(await commitIn(world, "t", { adds: false }, {})).error,
    ];
    expect(answers).toEqual(["INVALID_PRODUCER_ID_MAPPING", "PRODUCER_FENCED", "TRANSACTION_ABORTABLE"]);
    expect(world.storage.rowsWritten).toBe(0);
    expect(world.registered.size).toBe(0);
    world.transactions.of("t").begin();
    ok(await commitIn(world, "t", { adds: false }, { offset: 1 }));
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 1 });
  });

  test("only if it has a name that one can have", async () => {
    const world = new GroupWorld();
    for (const transactionalId of ["", "x".repeat(1_025)]) {
      expect(refused(await commitIn(world, transactionalId, {}, {})).error).toBe("INVALID_REQUEST");
    }
    expect(world.transactions.joins).toBe(0);
  });

  test("not while the coordinator cannot be reached: the producer asks again", async () => {
    const world = new GroupWorld();
    world.transactions.isDown = true;
    expect(refused(await commitIn(world, "t", {}, { offset: 1 })).error).toBe("COORDINATOR_LOAD_IN_PROGRESS");
    world.transactions.isDown = false;
    ok(await commitIn(world, "t", {}, { offset: 1 }));
  });

  test("not with an older epoch, though the producer has a transaction here", async () => {
    const world = new GroupWorld();
    const { transactionalId, producerId } = world.transactions.of("t");
    ok(await commitIn(world, "t", {}, { offset: 1 }));
    await end(world, "t", true);
    ok(await commitIn(world, "t", {}, { partition: 1, offset: 2 }));
    const zombies = transactionalCommit({ transactionalId, producerId, producerEpoch: 0 }, {}, { offset: 9 });
    const answer = await world.ask((group) => group.commitTransactionOffsets(zombies));
    expect(refused(answer).error).toBe("PRODUCER_FENCED");
    await end(world, "t", true);
    expect(await fetched(world, true)).toEqual({ "topic-0": 1, "topic-1": 2 });
  });

  test.each(ENDS)("not if it is %s while the coordinator is being asked", async (_, committed) => {
    const world = new GroupWorld();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    world.transactions.held = held;
    const { transactionalId, producerId, producerEpoch } = world.transactions.of("t");
    const request = transactionalCommit({ transactionalId, producerId, producerEpoch }, {}, { offset: 5 });
    const answer = world.call((group) => group.commitTransactionOffsets(request));
    await world.settle();
    expect(world.transactions.of("t").isOpen).toBe(true);
    await end(world, "t", committed);
    release();
    await world.settle();
    expect(refused(await answer).error).toBe("INVALID_TXN_STATE");
    expect(await fetched(world, true)).toEqual({});
    world.transactions.held = undefined;
    ok(await commitIn(world, "t", {}, { offset: 6 }));
  });

  test("also if a late word of the one before comes while the coordinator is being asked", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { offset: 5 }));
    const before = world.transactions.of("t").end(false);
    await tell(world, before);
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    world.transactions.held = held;
    const request = transactionalCommit(world.transactions.of("t"), {}, { offset: 6 });
    const answer = world.call((group) => group.commitTransactionOffsets(request));
    await world.settle();
    await tell(world, before);
    release();
    await world.settle();
    ok(await answer);
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 6 });
  });

  test("not by an object that has been lost while it asked", async () => {
    const world = new GroupWorld();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    world.transactions.held = held;
    const request = transactionalCommit(world.transactions.of("t"), {}, { offset: 5 });
    const lost = expect(world.call((group) => group.commitTransactionOffsets(request))).rejects.toThrow(
      LostObject,
    );
    await world.settle();
    world.kill();
    await lost;
    await end(world, "t", true);
    release();
    await world.settle();
    expect(await fetched(world, true)).toEqual({});
  });
});

describe("who may commit in a transaction", () => {
  test("of a group with members: these alone, in their generation, and who gives no name", async () => {
    const world = new GroupWorld();
    const { memberId, generation } = await alone(world);
    const errors = [
      refused(await commitIn(world, "t", { memberId: "nobody", generation }, {})).error,
      refused(await commitIn(world, "t", { memberId, generation: generation + 1 }, {})).error,
    ];
    expect(errors).toEqual(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"]);
    expect(world.transactions.joins).toBe(0);
    ok(await commitIn(world, "t", { memberId, generation }, { partition: 0, offset: 5 }));
    ok(await commitIn(world, "t", {}, { partition: 1, offset: 6 }));
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 5, "topic-1": 6 });
  });

  test("a static member that has been replaced is fenced", async () => {
    const world = new GroupWorld();
    const instanceId = "i";
    const joined = world.call((group) => group.joinGroup(joinRequest({ instanceId })));
    await world.settle();
    const { memberId, generation } = ok(await joined);
    expect(refused(await commitIn(world, "t", { memberId: "old", instanceId, generation }, {})).error).toBe(
      "FENCED_INSTANCE_ID",
    );
    ok(await commitIn(world, "t", { memberId, instanceId, generation }, {}));
  });

  test("members that wait for their assignment, too", async () => {
    const world = new GroupWorld();
    const { joined } = await joining(world);
    const { memberId, generation } = ok(await joined);
    ok(await commitIn(world, "t", { memberId, generation }, { offset: 5 }));
  });

  test("of a group that does not exist: nobody who has a generation", async () => {
    const world = new GroupWorld();
    expect(refused(await commitIn(world, "t", { memberId: "m", generation: 3 }, {})).error).toBe(
      "GROUP_ID_NOT_FOUND",
    );
    expect(world.storage.rowsWritten).toBe(0);
    expect(world.transactions.joins).toBe(0);
  });

  test("of a group whose partitions are assigned here: members in their epoch", async () => {
    const world = new GroupWorld();
    const topicId = world.setTopic(TOPIC, 2);
    const joinedGroup = await world.ask((group) =>
      group.consumerGroupHeartbeat(
        heartbeatRequest({
          memberId: "m",
          rebalanceTimeoutMs: 60_000,
          subscribedTopicNames: [TOPIC],
          topicPartitions: [],
        }),
      ),
    );
    const { memberEpoch } = ok(joinedGroup);
    const member = { memberId: "m", generation: memberEpoch };
    const offset = { topicId, offset: 5 };
    expect(refused(await commitIn(world, "t", { ...member, memberId: "n" }, offset)).error).toBe(
      "UNKNOWN_MEMBER_ID",
    );
    expect(refused(await commitIn(world, "t", { ...member, generation: 0 }, offset)).error).toBe(
      "STALE_MEMBER_EPOCH",
    );
    ok(await commitIn(world, "t", member, offset));
    ok(await commitIn(world, "t", {}, { ...offset, partition: 1 }));
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 5, "topic-1": 5 });
  });
});

describe("a fetch that requires stable offsets", () => {
  test("is told which are not, also where nothing has been committed yet", async () => {
    const world = new GroupWorld();
    ok(await commit(world, { partition: 0, offset: 1 }, { partition: 1, offset: 1 }));
    ok(await commitIn(world, "one", {}, { partition: 1, offset: 5 }, { partition: 2, offset: 5 }));
    ok(await commitIn(world, "two", {}, { partition: 1, offset: 6 }));
    const topics = [{ topicId: TOPIC_ID, partitions: [0, 1, 3] }];
    const asked = { memberId: null, memberEpoch: -1, topics, requireStable: true };
    const told = ok(await world.ask((group) => group.fetchOffsets(asked)));
    expect(told).toMatchObject([
      { partition: 0, offset: 1 },
      { partition: 1, offset: -1, error: "UNSTABLE_OFFSET_COMMIT" },
    ]);
    expect(told).toHaveLength(2);
    await end(world, "one", true);
    expect(await fetched(world, true)).toEqual({ "topic-0": 1, "topic-1": "unstable", "topic-2": 5 });
    await end(world, "two", true);
    expect(await fetched(world, true)).toEqual({ "topic-0": 1, "topic-1": 6, "topic-2": 5 });
  });
});

describe("while a transaction has not ended", () => {
  test("what it would replace does not expire, nor does the group", async () => {
    const world = new GroupWorld();
    ok(await commit(world, { partition: 0, offset: 1 }, { partition: 1, offset: 1 }));
    ok(await commitIn(world, "t", {}, { partition: 0, offset: 5 }));
    await world.advance(30 * DAY_MS);
    expect(await fetched(world)).toEqual({ "topic-0": 1 });
    await end(world, "t", false);
    await world.advance(DAY_MS);
    expect(refused(await world.ask((group) => group.summary())).error).toBe("GROUP_ID_NOT_FOUND");
    expect(world.registered.size).toBe(0);
    expect(world.storage.alarmAtMs).toBeNull();
  });

  test.each(ENDS)(
    "a group that has nothing else stays; when it is %s it is as any other",
    async (_, committed) => {
      const world = new GroupWorld();
      ok(await commitIn(world, "t", {}, { offset: 5 }));
      await world.evict();
      await world.advance(2 * DAY_MS);
      await end(world, "t", committed);
      await world.advance(DAY_MS);
      expect(await fetched(world)).toEqual(committed ? { "topic-0": 5 } : {});
      await world.advance(7 * DAY_MS);
      expect(refused(await world.ask((group) => group.summary())).error).toBe("GROUP_ID_NOT_FOUND");
      expect(world.registered.size).toBe(0);
      expect(world.storage.alarmAtMs).toBeNull();
    },
  );

  test("the group can be deleted, and then has no part in it any more", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { offset: 5 }));
    expect(await world.ask((group) => group.deleteGroup())).toBeNull();
    expect(world.registered.size).toBe(0);
    await world.evict();
    await end(world, "t", true);
    expect(await fetched(world, true)).toEqual({});
    ok(await commitIn(world, "t", {}, { offset: 6 }));
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-0": 6 });
  });

  test("its offsets can be deleted like others", async () => {
    const world = new GroupWorld();
    ok(await commitIn(world, "t", {}, { partition: 0, offset: 5 }, { partition: 1, offset: 6 }));
    const topics = [{ topicId: TOPIC_ID, topic: TOPIC, partitions: [0] }];
    ok(await world.ask((group) => group.deleteOffsets(topics)));
    expect(await fetched(world, true)).toEqual({ "topic-1": "unstable" });
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "topic-1": 6 });
  });

  test("its offsets go with all others of a topic", async () => {
    const world = new GroupWorld();
    ok(await commit(world, { partition: 2, offset: 1 }));
    ok(await commitIn(world, "t", {}, { partition: 0, offset: 5 }, { partition: 2, offset: 6 }));
    const topics = [{ topicId: TOPIC_ID, topic: TOPIC, partitions: null }];
    const deleted = ok(await world.ask((group) => group.deleteOffsets(topics)));
    expect(deleted.map(({ partition }) => partition)).toEqual([0, 2]);
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({});
  });

  test("a topic that is deleted takes its offsets along", async () => {
    const world = new GroupWorld();
    const other = { topicId: OTHER_ID, topic: "other" };
    ok(await commitIn(world, "t", {}, { offset: 5 }, { ...other, offset: 6 }));
    world.deletedTopics.add(TOPIC_ID);
    expect(await fetched(world, true)).toEqual({ "other-0": "unstable" });
    await end(world, "t", true);
    expect(await fetched(world)).toEqual({ "other-0": 6 });
  });
});

describe("a group that is older than transactions", () => {
  test("keeps what it has, and takes part in them", async () => {
    const world = new GroupWorld();
    ok(await commit(world, { offset: 1 }));
    world.storage.exec("DROP TABLE transactional_offsets");
    world.storage.confirm();
    world.kill();
    expect(await fetched(world, true)).toEqual({ "topic-0": 1 });
    ok(await commitIn(world, "t", {}, { offset: 5 }));
    await end(world, "t", true);
    await world.evict();
    expect(await fetched(world)).toEqual({ "topic-0": 5 });
    expect(await world.ask((group) => group.deleteGroup())).toBeNull();
    ok(await commit(world, { offset: 2 }));
    expect(await fetched(world)).toEqual({ "topic-0": 2 });
  });
});
