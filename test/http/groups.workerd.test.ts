import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { ok } from "../cluster/results.ts";
import { joinRequest, syncRequest } from "../group/classic-requests.ts";
import { heartbeatRequest } from "../group/consumer-client.ts";
import { assignmentBytes, subscriptionBytes } from "../group/consumer-protocol.ts";
import { answer, newTopic, produce, refusal, request, send } from "./http.ts";

const newGroup = () => `group-${crypto.randomUUID()}`;
const pathOf = (group: string) => `/v1/groups/${encodeURIComponent(group)}`;
const coordinatorOf = (group: string) => env.GROUP.get(env.GROUP.idFromName(group));

function setOffsets(group: string, ...offsets: object[]): Promise<Response> {
  return send("PUT", `${pathOf(group)}/offsets`, { offsets });
}

function produceAt(topic: string, partition: number, ...timestamps: number[]): Promise<Response> {
  return produce(topic, {
    records: timestamps.map((timestamp) => ({ value: "v", partition, timestamp })),
  });
}

/** A stable group of one consumer of the classic protocol, assigned partition 0. */
async function classicMember(group: string, topic: string): Promise<string> {
  const coordinator = coordinatorOf(group);
  const protocols = [{ name: "range", metadata: subscriptionBytes([topic]) }];
  const joining = { protocols, requiresKnownMemberId: false, instanceId: "static" };
  const joined = ok(await coordinator.joinGroup(joinRequest(joining)));
  const assignment = assignmentBytes(topic, [0]);
  const sync = syncRequest(joined, [[joined.memberId, assignment]]);
  ok(await coordinator.syncGroup({ ...sync, instanceId: "static" }));
  return joined.memberId;
}

async function consumerMember(group: string, topic: string): Promise<void> {
  const joining = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: [topic], topicPartitions: [] };
  ok(
    await coordinatorOf(group).consumerGroupHeartbeat(
      heartbeatRequest({ memberId: "member", memberEpoch: 0, ...joining }),
    ),
  );
}

describe("a group's description", () => {
  test("tells of each partition what is unread: how many records, and since when", async () => {
    const topic = await newTopic(3);
    const group = newGroup();
    const now = Date.now();
    await answer(produceAt(topic, 0, now - 50_000, now - 40_000));
    await answer(produceAt(topic, 0, now - 30_000, now - 20_000));
    await answer(produceAt(topic, 1, now - 10_000));
    await answer(
      setOffsets(
        group,
        { topic, partition: 0, offset: 2, metadata: "ü", leader_epoch: 0 },
        { topic, partition: 1, offset: 1 },
        { topic, partition: 2, offset: 0 },
      ),
    );
    const described = await answer(request(pathOf(group)));
    expect(described).toMatchObject({ group, type: "classic", state: "Empty", members: [], lag_records: 2 });
    expect(described).toMatchObject({ protocol_type: "", protocol: "", next_after: null });
    const [behind, ahead, unused] = described.partitions;
    expect(behind).toEqual({
      topic,
      partition: 0,
      committed_offset: 2,
      leader_epoch: 0,
      metadata: "ü",
      committed_at_ms: expect.any(Number),
      member_id: null,
      log_start_offset: 0,
      log_end_offset: 4,
      lag_records: 2,
      lag_ms: expect.any(Number),
    });
    expect(behind.lag_ms).toBeGreaterThanOrEqual(30_000);
    expect(behind.lag_ms).toBeLessThan(40_000);
    expect(described.lag_ms).toBe(behind.lag_ms);
    expect(ahead).toMatchObject({ committed_offset: 1, log_end_offset: 1, lag_records: 0, lag_ms: null });
    expect(unused).toMatchObject({ committed_offset: 0, log_end_offset: 0, lag_records: 0, lag_ms: null });
  });

  test("says of an offset beyond the log end how far beyond it is, as Kafka does", async () => {
    const topic = await newTopic(20);
    const group = newGroup();
    await answer(produceAt(topic, 0, ...Array.from({ length: 12 }, () => 1)));
    await answer(produceAt(topic, 1, 1, 1));
    const offsets = Array.from({ length: 20 }, (_, partition) => ({ topic, partition, offset: 0 }));
    await answer(setOffsets(group, { topic, partition: 0, offset: 300_000 }, ...offsets.slice(1, 19)));
    await answer(setOffsets(group, { topic, partition: 19, offset: 5 }));
    const { partitions, lag_records, lag_ms } = await answer(request(pathOf(group)));
    expect(partitions[0]).toMatchObject({ log_end_offset: 12, lag_records: -299_988, lag_ms: null });
    // Never written to, so that its leader is not asked.
    expect(partitions[19]).toMatchObject({ log_end_offset: 0, lag_records: -5, lag_ms: null });
    expect(lag_records).toBe(2);
    expect(lag_ms).toBe(partitions[1].lag_ms);
  });

  test("counts what retention has taken as unread, and its age from what is left", async () => {
    const topic = await newTopic();
    const group = newGroup();
    const now = Date.now();
    for (const age of [50_000, 20_000]) await answer(produceAt(topic, 0, now - age));
    await answer(setOffsets(group, { topic, partition: 0, offset: 0 }));
    await answer(request(`/v1/topics/${topic}/partitions/0/records?before_offset=1`, { method: "DELETE" }));
    const { partitions } = await answer(request(pathOf(group)));
    expect(partitions).toMatchObject([{ log_start_offset: 1, log_end_offset: 2, lag_records: 2 }]);
    expect(partitions[0].lag_ms).toBeLessThan(50_000);
  });

  test("tells the members of a classic group and what is assigned to them", async () => {
    const topic = await newTopic(2);
    const group = newGroup();
    const memberId = await classicMember(group, topic);
    const described = await answer(request(pathOf(group)));
    expect(described).toMatchObject({
      type: "classic",
      state: "Stable",
      protocol_type: "consumer",
      protocol: "range",
      generation: 1,
      members: [
        {
          member_id: memberId,
          instance_id: "static",
          client_id: "client",
          client_host: "/127.0.0.1",
          member_epoch: null,
          assignment: [{ topic, partitions: [0] }],
          target_assignment: null,
        },
      ],
      partitions: [
        { topic, partition: 0, member_id: memberId, committed_offset: null, lag_records: null, lag_ms: null },
      ],
    });
    expect(described.partitions).toMatchObject([{ log_start_offset: 0, log_end_offset: 0 }]);
  });

  test("tells the members of a consumer group, their epochs and what they are moved towards", async () => {
    const topic = await newTopic(2);
    const group = newGroup();
    await consumerMember(group, topic);
    const assignment = [{ topic, partitions: [0, 1] }];
    expect(await answer(request(pathOf(group)))).toMatchObject({
      type: "consumer",
      state: "Stable",
      protocol: "uniform",
      group_epoch: 1,
      assignment_epoch: 1,
      members: [{ member_id: "member", member_epoch: 1, assignment, target_assignment: assignment }],
      partitions: [
        { partition: 0, member_id: "member" },
        { partition: 1, member_id: "member" },
      ],
    });
  });

  test("goes on page by page, over what is committed and what is only assigned, each once", async () => {
    const topic = await newTopic(7);
    const other = await newTopic(3);
    const group = newGroup();
    const committed = [5, 2, 6].map((partition) => ({ topic, partition, offset: 0 }));
    await answer(setOffsets(group, ...committed, { topic: other, partition: 1, offset: 0 }));
    await consumerMember(group, topic);
    const whole = await answer(request(pathOf(group)));
    expect(whole.partitions).toHaveLength(8);
    for (const limit of [1, 2, 3, 7, 8]) {
      const partitions: object[] = [];
      for (let after: string | null = ""; after !== null; ) {
        const cursor: string = after === "" ? "" : `&after=${after}`;
        const page = await answer(request(`${pathOf(group)}?limit=${limit}${cursor}`));
        expect(page.partitions.length).toBeLessThanOrEqual(limit);
        expect(page.members).toHaveLength(1);
        partitions.push(...page.partitions);
        after = page.next_after;
      }
      expect(partitions).toEqual(whole.partitions);
    }
  });

  test("of a group of 3,000 partitions is a page that says where it goes on", async () => {
    const topic = await newTopic(3_000);
    const group = newGroup();
    const offsets = Array.from({ length: 3_000 }, (_, partition) => ({ topic, partition, offset: 0 }));
    await answer(setOffsets(group, ...offsets));
    await answer(produceAt(topic, 500, Date.now()));
    const described = await answer(request(pathOf(group)));
    expect(described.partitions).toHaveLength(1_000);
    expect(described.lag_records).toBe(1);
    expect(described.partitions[500]).toMatchObject({ partition: 500, log_end_offset: 1, lag_records: 1 });
    expect(described.partitions[501]).toMatchObject({ partition: 501, log_end_offset: 0, lag_records: 0 });
    expect(described.next_after).toBe(`${topic}:999`);
  });

  test("with limit=0 asks no leader", async () => {
    const topic = await newTopic();
    const group = newGroup();
    await answer(setOffsets(group, { topic, partition: 0, offset: 0 }));
    const described = await answer(request(`${pathOf(group)}?limit=0`));
    expect(described).toMatchObject({ state: "Empty", partitions: [], lag_records: 0, next_after: null });
  });

  test("leaves out a topic that is deleted, and one made anew under its name has no offset", async () => {
    const topic = await newTopic();
    const group = newGroup();
    await answer(setOffsets(group, { topic, partition: 0, offset: 0 }));
    expect((await request(`/v1/topics/${topic}`, { method: "DELETE" })).status).toBe(204);
    await answer(send("POST", "/v1/topics", { name: topic }), 201);
    expect((await answer(request(pathOf(group)))).partitions).toEqual([]);
    expect((await answer(request(`${pathOf(group)}/offsets`))).offsets).toEqual([]);
  });

  test("of a group that does not exist is refused", async () => {
    expect(await refusal(request(pathOf(newGroup())), 404)).toBe("GROUP_ID_NOT_FOUND");
    expect(await refusal(request(`${pathOf(newGroup())}/offsets`), 404)).toBe("GROUP_ID_NOT_FOUND");
    expect(await refusal(request(pathOf("x".repeat(1_001))), 400)).toBe("INVALID_GROUP_ID");
    expect(await refusal(request(`${pathOf("x")}?after=x`), 400)).toBe("INVALID_REQUEST");
  });
});

describe("groups", () => {
  test("are listed with state, type and members, page by page, and by state", async () => {
    const topic = await newTopic();
    const prefix = `list-${crypto.randomUUID()}`;
    const [holding, classic, consumer] = [`${prefix}/a b`, `${prefix}/bü`, `${prefix}/c`];
    await answer(setOffsets(holding, { topic, partition: 0, offset: 0 }));
    await classicMember(classic, topic);
    await consumerMember(consumer, topic);
    const list = async (query: string) => {
      const { groups, next_after } = await answer(
        request(`/v1/groups?after=${encodeURIComponent(prefix)}${query}`),
      );
      return {
        groups: groups.filter(({ group }: { group: string }) => group.startsWith(prefix)),
        next: next_after,
      };
    };
    const all = [
      { group: holding, type: "classic", state: "Empty", protocol_type: "", members: 0 },
      { group: classic, type: "classic", state: "Stable", protocol_type: "consumer", members: 1 },
      { group: consumer, type: "consumer", state: "Stable", protocol_type: "consumer", members: 1 },
    ];
    expect((await list("")).groups).toEqual(all);
    expect(await list("&limit=1")).toEqual({ groups: [all[0]], next: holding });
    expect((await list("&state=stable&type=Classic")).groups).toEqual([all[1]]);
    expect(await answer(request(pathOf(classic)))).toMatchObject({ group: classic });
    const { error } = await answer(request("/v1/groups?state=Foo"), 400);
    expect(error.message).toBe(
      'query.state: must be one of Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Stable, not "Foo"',
    );
    expect(await refusal(request("/v1/groups?type=foo"), 400)).toBe("INVALID_REQUEST");
  });

  test("are deleted with their offsets once they have no members", async () => {
    const topic = await newTopic();
    const group = newGroup();
    const memberId = await classicMember(group, topic);
    const remove = () => request(pathOf(group), { method: "DELETE" });
    const { error } = await answer(remove(), 409);
    expect(error).toMatchObject({ code: "NON_EMPTY_GROUP" });
    // What is said to help helps.
    expect(error.message).toContain("DELETE /v1/groups/{group}/members/{member}");
    const member = `${pathOf(group)}/members/${encodeURIComponent(memberId)}`;
    expect((await request(member, { method: "DELETE" })).status).toBe(204);
    ok(await coordinatorOf(group).leaveGroup([{ memberId, instanceId: "static" }]));
    expect((await remove()).status).toBe(204);
    expect(await refusal(remove(), 404)).toBe("GROUP_ID_NOT_FOUND");
  });
});

describe("a group's offsets", () => {
  test("are set, listed and deleted, one by one or by topic", async () => {
    const topic = await newTopic(3);
    const other = await newTopic();
    const group = newGroup();
    const set = [0, 1, 2].map((partition) => ({ topic, partition, offset: 10 + partition }));
    expect(await answer(setOffsets(group, ...set, { topic: other, partition: 0, offset: 5 }))).toEqual({
      offsets: [...set, { topic: other, partition: 0, offset: 5 }],
    });
    const path = `${pathOf(group)}/offsets`;
    const listed = async (query = "") => (await answer(request(`${path}${query}`))).offsets;
    expect(await listed()).toHaveLength(4);
    expect(await listed(`?limit=1&after=${topic}:0`)).toEqual([
      {
        topic,
        partition: 1,
        offset: 11,
        leader_epoch: -1,
        metadata: "",
        committed_at_ms: expect.any(Number),
      },
    ]);
    const remove = (query: string) => request(`${path}?${query}`, { method: "DELETE" });
    expect((await remove(`topic=${topic}&partition=1`)).status).toBe(204);
    expect((await remove(`topic=${topic}&partition=1`)).status).toBe(204);
    expect(await listed()).toHaveLength(3);
    expect((await remove(`topic=${topic}`)).status).toBe(204);
    expect(await listed()).toMatchObject([{ topic: other, offset: 5 }]);
    expect(await refusal(remove(""), 400)).toBe("INVALID_REQUEST");
    expect(await refusal(remove("topic=unknown"), 404)).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });

  test("of a group with members are not set by others, and not deleted while it is subscribed", async () => {
    const topic = await newTopic();
    for (const join of [classicMember, consumerMember]) {
      const group = newGroup();
      await answer(setOffsets(group, { topic, partition: 0, offset: 1 }));
      await join(group, topic);
      expect(await refusal(setOffsets(group, { topic, partition: 0, offset: 2 }), 409)).toBe(
        "NON_EMPTY_GROUP",
      );
      const remove = request(`${pathOf(group)}/offsets?topic=${topic}`, { method: "DELETE" });
      expect(await refusal(remove, 409)).toBe("GROUP_SUBSCRIBED_TO_TOPIC");
      expect((await answer(request(`${pathOf(group)}/offsets`))).offsets).toMatchObject([{ offset: 1 }]);
    }
  });

  test("are all set or, where one of them cannot be, none", async () => {
    const topic = await newTopic();
    const group = newGroup();
    const good = { topic, partition: 0, offset: 1 };
    expect(await refusal(setOffsets(group, good, { ...good, partition: 1 }), 404)).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
    expect(await refusal(setOffsets(group, good, { ...good, topic: "unknown" }), 404)).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
    for (const wrong of [
      [],
      [good, good],
      [{ ...good, offset: -1 }],
      [{ ...good, metadata: "x".repeat(4_097) }],
    ]) {
      expect(await refusal(setOffsets(group, ...wrong), 400)).toBe("INVALID_REQUEST");
    }
    expect(await refusal(request(pathOf(group)), 404)).toBe("GROUP_ID_NOT_FOUND");
  });
});
