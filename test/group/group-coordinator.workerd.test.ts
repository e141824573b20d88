import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { JoinedGroup } from "../../durable-objects/group/rpc.ts";
import { ok, refused } from "../cluster/results.ts";
import { controllerStub, createTopic } from "../cluster/support.ts";
import { commitRequest, joinRequest, syncRequest } from "./classic-requests.ts";
import { heartbeatRequest } from "./consumer-client.ts";
import { transactionalCommit } from "./transaction-steps.ts";

const ALL = { memberId: null, memberEpoch: -1, topics: null };

function newGroup() {
  const groupId = `group-${crypto.randomUUID()}`;
  return { groupId, group: env.GROUP.get(env.GROUP.idFromName(groupId)) };
}

type Group = ReturnType<typeof newGroup>["group"];

async function join(group: Group, sessionTimeoutMs = 10_000): Promise<JoinedGroup> {
  const first = await group.joinGroup(joinRequest({ sessionTimeoutMs }));
  if (!("error" in first) || first.error !== "MEMBER_ID_REQUIRED") throw new Error(JSON.stringify(first));
  return ok(await group.joinGroup(joinRequest({ sessionTimeoutMs, memberId: first.memberId })));
}

describe("a group's coordinator", () => {
  test("parks a JoinGroup until the others have come, and answers all of them", async () => {
    const { group } = newGroup();
    const leader = await join(group);
    ok(await group.syncGroup(syncRequest(leader, [[leader.memberId, new Uint8Array([1])]])));
    const second = join(group);
    const beat = () => group.heartbeat({ memberId: leader.memberId, instanceId: null, generation: 1 });
    while ((await beat()) === null);
    expect(refused(await beat()).error).toBe("REBALANCE_IN_PROGRESS");
    const rejoined = ok(await group.joinGroup(joinRequest({ memberId: leader.memberId })));
    expect(rejoined.members).toHaveLength(2);
    const follower = await second;
    const waiting = group.syncGroup(syncRequest(follower));
    const assignment = new Uint8Array([9, 9, 9]);
    ok(await group.syncGroup(syncRequest(rejoined, [[follower.memberId, assignment]])));
    expect(ok(await waiting).assignment).toEqual(assignment);
  });

  test("keeps members and offsets when it is evicted", async () => {
    const { group, groupId } = newGroup();
    const topic = await createTopic();
    const member = await join(group);
    ok(await group.syncGroup(syncRequest(member, [])));
    const { memberId, generation } = member;
    const offset = { topicId: topic.id, topic: topic.name, offset: 17, metadata: "ü" };
    ok(await group.commitOffsets(commitRequest({ memberId, generation }, offset)));
    const before = ok(await group.describe());
    await evictDurableObject(group);
    expect(ok(await group.describe())).toEqual(before);
    expect(await group.heartbeat({ memberId, instanceId: null, generation })).toBeNull();
    expect(ok(await group.fetchOffsets(ALL))).toMatchObject([offset]);
    expect(await controllerStub().listGroups({ after: groupId.slice(0, -1), limit: 1 })).toEqual([groupId]);
  });

  test("sets an alarm for the session of its members, and none once it is deleted", async () => {
    const { group, groupId } = newGroup();
    const member = await join(group, 6_000);
    ok(await group.syncGroup(syncRequest(member, [])));
    const alarmAtMs = () => runInDurableObject(group, (_, { storage }) => storage.getAlarm());
    expect((await alarmAtMs()) ?? 0).toBeGreaterThan(Date.now());
    expect(await runDurableObjectAlarm(group)).toBe(true);
    expect(await group.heartbeat({ memberId: member.memberId, instanceId: null, generation: 1 })).toBeNull();
    ok(await group.leaveGroup([{ memberId: member.memberId, instanceId: null }]));
    expect(await group.deleteGroup()).toBeNull();
    await runDurableObjectAlarm(group);
    expect(await alarmAtMs()).toBeNull();
    expect(await controllerStub().listGroups({ after: groupId.slice(0, -1), limit: 1 })).not.toContain(
      groupId,
    );
    expect(refused(await group.describe()).error).toBe("GROUP_ID_NOT_FOUND");
  });

  test("has an alarm also where offsets expire at a time that no platform knows", async () => {
    const { group } = newGroup();
    const topic = await createTopic();
    const offset = { topicId: topic.id, topic: topic.name, offset: 1 };
    for (const retentionMs of [1e15, 9e18]) {
      ok(await group.commitOffsets(commitRequest({ retentionMs }, offset)));
      const alarmAtMs = await runInDurableObject(group, (_, { storage }) => storage.getAlarm());
      expect(alarmAtMs).toBeGreaterThan(Date.now());
      await runDurableObjectAlarm(group);
      expect(await runInDurableObject(group, (_, { storage }) => storage.getAlarm())).not.toBeNull();
    }
  });

  test("that nobody has used writes nothing when it is asked", async () => {
    const { group, groupId } = newGroup();
    expect(await group.fetchOffsets(ALL)).toEqual([]);
    expect(refused(await group.summary()).error).toBe("GROUP_ID_NOT_FOUND");
    const tables = await runInDurableObject(group, (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    );
    expect(tables).toEqual([]);
    expect(await controllerStub().listGroups({ after: groupId.slice(0, -1), limit: 1 })).not.toContain(
      groupId,
    );
  });

  test("keeps the offsets of a transaction when it is evicted, and hears how that has ended", async () => {
    const { group } = newGroup();
    const topic = await createTopic();
    const transactionalId = `transactional-${crypto.randomUUID()}`;
    const coordinator = env.TRANSACTION.get(env.TRANSACTION.idFromName(transactionalId));
    const initializing = { transactionTimeoutMs: 60_000, current: null };
    let producer = ok(await coordinator.initProducerId(initializing));
    const stable = { ...ALL, requireStable: true };
    for (const [committed, offset] of [
      [true, 17],
      [false, 18],
    ] as const) {
      const offsets = { topicId: topic.id, topic: topic.name, offset };
      const request = transactionalCommit({ transactionalId, ...producer }, {}, offsets);
      ok(await group.commitTransactionOffsets(request));
      await evictDurableObject(group);
      expect(ok(await group.fetchOffsets(stable))).toMatchObject([{ error: "UNSTABLE_OFFSET_COMMIT" }]);
      producer = ok(await coordinator.endTransaction({ ...producer, committed, bumpsEpoch: true }));
      expect(ok(await group.fetchOffsets(stable))).toMatchObject([{ offset: 17 }]);
    }
  });

  test("forgets the offsets of deleted topics when all offsets are asked for", async () => {
    const { group } = newGroup();
    const topic = await createTopic();
    ok(await group.commitOffsets(commitRequest({}, { topicId: topic.id, topic: topic.name, offset: 1 })));
    expect(ok(await group.fetchOffsets(ALL))).toHaveLength(1);
    ok(await controllerStub().deleteTopic(topic.name));
    expect(ok(await group.fetchOffsets(ALL))).toEqual([]);
  });
});

describe("a group whose partitions the coordinator assigns", () => {
  test("survives eviction, and sees topics that grow", { timeout: 30_000 }, async () => {
    const { group } = newGroup();
    const topic = await createTopic({}, 2);
    const joining = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: [topic.name], topicPartitions: [] };
    const beat = (request: object) =>
      group.consumerGroupHeartbeat(heartbeatRequest({ memberId: "a", ...request }));
    const joined = ok(await beat(joining));
    expect(joined.assignment).toEqual([{ topicId: topic.id, partitions: [0, 1] }]);
    const before = ok(await group.describe());
    await evictDurableObject(group);
    expect(ok(await group.describe())).toEqual(before);
    expect(ok(await beat({ memberEpoch: 1 })).assignment).toBeNull();
    ok(await controllerStub().createPartitions(topic.name, 3));
    // Woken anew, it asks at once.
    await evictDurableObject(group);
    const grown = ok(await beat({ memberEpoch: 1 }));
    expect(grown).toMatchObject({
      memberEpoch: 2,
      assignment: [{ topicId: topic.id, partitions: [0, 1, 2] }],
    });
  });
});
