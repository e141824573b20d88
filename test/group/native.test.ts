import { describe, expect, test } from "vitest";
import type { ConsumerGroupDescription } from "../../durable-objects/group/rpc.ts";
import { isFailure } from "../../src/model/errors.ts";
import {
  GROUP_SOCKET_GRACE_MS,
  GROUP_SOCKET_JOIN_MS_MAX,
  GROUP_SOCKET_LOOK_MS,
  GROUP_SOCKET_SILENCE_MS_MAX,
} from "../../src/model/limits.ts";
import {
  type AssignmentMessage,
  CLOSE_FENCED,
  type CommittedMessage,
  type CoordinatorMessage,
  encodeMemberMessage,
  type JoinedMessage,
  type JoinMessage,
  type MemberMessage,
  parseCoordinatorMessage,
} from "../../src/subscribe/group-protocol.ts";
import { ok } from "../cluster/results.ts";
import { alone, commitRequest, joinRequest } from "./classic-requests.ts";
import { heartbeatRequest } from "./consumer-client.ts";
import { subscriptionBytes } from "./consumer-protocol.ts";
import { GroupWorld } from "./group-world.ts";
import type { SimulatedSocket } from "./simulated-sockets.ts";

const TOPIC = "topic";

function worldWith(partitions: number): { world: GroupWorld; topicId: string } {
  const world = new GroupWorld();
  return { world, topicId: world.setTopic(TOPIC, partitions) };
}

/** A member whose every message the test sends itself. */
class Member {
  readonly #world: GroupWorld;
  readonly socket: SimulatedSocket;
  messages: CoordinatorMessage[] = [];
  closed: { code: number; reason: string } | undefined;

  constructor(world: GroupWorld) {
    const socket = world.connect();
    if (socket === undefined) throw new Error("no socket");
    this.#world = world;
    this.socket = socket;
    socket.onMessage = (text) => {
      const message = parseCoordinatorMessage(text);
      if (message === undefined || isFailure(message)) throw new Error(`not a message: ${text}`);
      this.messages.push(message);
    };
    socket.onClose = (code, reason) => {
      this.closed = { code, reason };
    };
  }

  static async join(world: GroupWorld, join: Partial<JoinMessage> = {}): Promise<Member> {
    const member = new Member(world);
    await member.send({ type: "join", topics: [TOPIC], ...join });
    return member;
  }

  async send(message: MemberMessage): Promise<void> {
    this.#world.sendTo(this.socket, encodeMemberMessage(message));
    await this.#world.settle();
  }

  async sendText(text: string): Promise<void> {
    this.#world.sendTo(this.socket, text);
    await this.#world.settle();
  }

  get joined(): JoinedMessage {
    const joined = this.messages.find((message) => message.type === "joined");
    if (joined === undefined) throw new Error(`not joined: ${JSON.stringify(this.messages)}`);
    return joined;
  }

  get error(): string | undefined {
    return this.messages.find((message) => message.type === "error")?.error.code;
  }

  get committed(): CommittedMessage[] {
    return this.messages.filter((message) => message.type === "committed");
  }

  /** The assignments since the last call. */
  assignments(): AssignmentMessage[] {
    const assignments = this.messages.filter((message) => message.type === "assignment");
    this.messages = this.messages.filter((message) => message.type !== "assignment");
    return assignments;
  }

  /** Of the only assignment since the last call: partitions that came and that are to go. */
  news(): [assigned: number[], revoke: number[]] {
    const [assignment, ...others] = this.assignments();
    if (assignment === undefined || others.length > 0) throw new Error("not one assignment");
    return [
      assignment.assigned.map(({ partition }) => partition),
      assignment.revoke.map(({ partition }) => partition),
    ];
  }
}

async function describeGroup(world: GroupWorld): Promise<ConsumerGroupDescription> {
  const description = ok(await world.ask((group) => group.describe()));
  if (description.type !== "consumer") throw new Error("the group is a classic one");
  return description;
}

function commit(topicId: string, partition: number, offset: number, id = 1): MemberMessage {
  return { type: "commit", id, offsets: [{ topic_id: topicId, partition, offset, metadata: "m" }] };
}

describe("a member with a socket", () => {
  test("that joins alone is told who it is, and is given everything from where its group has come to", async () => {
    const { world, topicId } = worldWith(3);
    const offset = { topicId, topic: TOPIC, partition: 1, offset: 17, leaderEpoch: 2, metadata: "m" };
    ok(await world.ask((group) => group.commitOffsets(commitRequest({}, offset))));
    const member = await Member.join(world, { topics: [TOPIC, "absent"] });
    expect(member.messages).toEqual([
      {
        type: "joined",
        member_id: expect.stringMatching(/^id\d+_+$/),
        member_epoch: 1,
        resumed: false,
        topics: { [TOPIC]: 3, absent: 0 },
        ping_interval_ms: 30_000,
        grace_ms: 10_000,
      },
      {
        type: "assignment",
        member_epoch: 1,
        assigned: [
          { topic: TOPIC, topic_id: topicId, partition: 0, offset: null, leader_epoch: -1, metadata: "" },
          { topic: TOPIC, topic_id: topicId, partition: 1, offset: 17, leader_epoch: 2, metadata: "m" },
          { topic: TOPIC, topic_id: topicId, partition: 2, offset: null, leader_epoch: -1, metadata: "" },
        ],
        revoke: [],
        more: false,
      },
    ]);
  });

  test("is pushed what it is to give up, and its successor gets it when it has, with what it committed last", async () => {
    const { world, topicId } = worldWith(4);
    const first = await Member.join(world);
    expect(first.news()).toEqual([[0, 1, 2, 3], []]);
    const second = await Member.join(world);
    expect(second.news()).toEqual([[], []]);
    const [told] = first.assignments();
    expect(told?.revoke.map(({ partition }) => partition)).toEqual([2, 3]);
    expect(told?.assigned).toEqual([]);
    expect((await describeGroup(world)).state).toBe("Reconciling");
    await first.send(commit(topicId, 3, 40));
    expect(second.assignments()).toEqual([]);
    await first.send({ type: "revoked", member_epoch: told?.member_epoch ?? 0 });
    expect(first.committed).toEqual([{ type: "committed", id: 1 }]);
    const [given] = second.assignments();
    expect(given?.assigned.map(({ partition, offset }) => [partition, offset])).toEqual([
      [2, null],
      [3, 40],
    ]);
    // Its own partitions have not been touched.
    expect(first.assignments()).toEqual([]);
    expect((await describeGroup(world)).state).toBe("Stable");
  });

  test("that says it has given up what an earlier assignment told is not taken at its word for this one", async () => {
    const { world } = worldWith(6);
    const first = await Member.join(world);
    const second = await Member.join(world);
    const epoch = first.assignments().at(-1)?.member_epoch ?? 0;
    await first.send({ type: "revoked", member_epoch: epoch });
    expect(second.assignments().at(-1)?.assigned).toHaveLength(3);
    const third = await Member.join(world);
    const [told] = first.assignments();
    expect(told?.revoke).toHaveLength(1);
    await first.send({ type: "revoked", member_epoch: epoch });
    expect(third.news()).toEqual([[], []]);
    await first.send({ type: "revoked", member_epoch: told?.member_epoch ?? 0 });
    expect(third.news()[0]).toHaveLength(1);
  });

  test("that does not give up in time is fenced, and its socket closed with a code of its own", async () => {
    const { world } = worldWith(2);
    const slow = await Member.join(world, { rebalance_timeout_ms: 5_000 });
    const second = await Member.join(world);
    second.assignments();
    await world.advance(4_999);
    expect(slow.closed).toBeUndefined();
    await world.advance(1);
    expect(slow.error).toBe("FENCED_MEMBER_EPOCH");
    expect(slow.closed).toEqual({ code: CLOSE_FENCED, reason: "FENCED_MEMBER_EPOCH" });
    expect(second.news()).toEqual([[0, 1], []]);
  });

  test("that leaves is gone at once", async () => {
    const { world } = worldWith(2);
    const first = await Member.join(world);
    const second = await Member.join(world);
    await first.send({ type: "leave" });
    expect(first.messages.at(-1)).toEqual({ type: "left" });
    expect(second.assignments().at(-1)?.assigned).toHaveLength(2);
    expect((await describeGroup(world)).members).toHaveLength(1);
  });

  test("whose socket breaks goes on with what it has when it is back in time, and nobody else notices", async () => {
    const { world, topicId } = worldWith(2);
    const first = await Member.join(world);
    const second = await Member.join(world);
    await first.send({ type: "revoked", member_epoch: first.assignments().at(-1)?.member_epoch ?? 0 });
    await first.send(commit(topicId, 0, 5));
    second.assignments();
    const { member_id, member_epoch } = first.joined;
    const before = await describeGroup(world);
    world.breakSocket(first.socket);
    await world.advance(GROUP_SOCKET_GRACE_MS - 1);
    const back = await Member.join(world, { member_id, member_epoch });
    expect(back.joined).toMatchObject({ member_id, resumed: true });
    expect(back.assignments()).toMatchObject([{ assigned: [{ partition: 0, offset: 5 }], revoke: [] }]);
    await world.advance(2 * GROUP_SOCKET_GRACE_MS);
    expect(await describeGroup(world)).toEqual(before);
    expect(second.assignments()).toEqual([]);
  });

  test("whose socket breaks while it is giving up is told again what", async () => {
    const { world } = worldWith(2);
    const first = await Member.join(world);
    const second = await Member.join(world);
    world.breakSocket(first.socket);
    const { member_id, member_epoch } = first.joined;
    const back = await Member.join(world, { member_id, member_epoch });
    const [told] = back.assignments();
    expect(told).toMatchObject({ assigned: [{ partition: 0 }], revoke: [{ partition: 1 }] });
    second.assignments();
    await back.send({ type: "revoked", member_epoch: told?.member_epoch ?? 0 });
    expect(second.news()).toEqual([[1], []]);
  });

  test("that is not back in time is gone, and is told so when it comes", async () => {
    const { world } = worldWith(2);
    const first = await Member.join(world);
    const second = await Member.join(world);
    world.breakSocket(first.socket);
    await world.advance(GROUP_SOCKET_GRACE_MS);
    expect(second.assignments().at(-1)?.assigned).toHaveLength(2);
    const { member_id, member_epoch } = first.joined;
    const late = await Member.join(world, { member_id, member_epoch });
    expect(late.error).toBe("UNKNOWN_MEMBER_ID");
    expect(late.closed).toEqual({ code: CLOSE_FENCED, reason: "UNKNOWN_MEMBER_ID" });
  });

  test("that joins again over another socket takes over from the one that it had", async () => {
    const { world } = worldWith(1);
    const first = await Member.join(world, { member_id: "tab-1" });
    const again = await Member.join(world, { member_id: "tab-1", member_epoch: 1 });
    expect(first.closed).toEqual({ code: CLOSE_FENCED, reason: "FENCED_INSTANCE_ID" });
    expect(again.news()).toEqual([[0], []]);
    await world.advance(2 * GROUP_SOCKET_GRACE_MS);
    expect((await describeGroup(world)).members).toHaveLength(1);
  });

  test("may commit what it has, and nothing else", async () => {
    const { world, topicId } = worldWith(2);
    const first = await Member.join(world);
    const second = await Member.join(world);
    await second.send(commit(topicId, 0, 7, 3));
    expect(second.committed).toEqual([
      { type: "committed", id: 3, errors: [{ topic_id: topicId, partition: 0, code: "STALE_MEMBER_EPOCH" }] },
    ]);
    await first.send(commit("other", 0, 7, 4));
    expect(first.committed).toMatchObject([{ id: 4, errors: [{ code: "UNKNOWN_TOPIC_ID" }] }]);
    // What it is to give up it still has.
    await first.send(commit(topicId, 1, 9, 5));
    expect(first.committed.at(-1)).toEqual({ type: "committed", id: 5 });
    const all = { memberId: null, memberEpoch: -1, topics: null };
    expect(ok(await world.ask((group) => group.fetchOffsets(all)))).toMatchObject([
      { partition: 1, offset: 9, metadata: "m" },
    ]);
  });

  test("may subscribe to something else without another socket", async () => {
    const { world } = worldWith(1);
    world.setTopic("other", 1);
    const member = await Member.join(world);
    member.assignments();
    const { member_id, member_epoch } = member.joined;
    await member.send({ type: "join", topics: ["other"], member_id, member_epoch });
    const [now] = member.assignments();
    expect(now?.revoke).toMatchObject([{ topic: "", partition: 0 }]);
    await member.send({ type: "revoked", member_epoch: now?.member_epoch ?? 0 });
    expect(member.assignments()).toMatchObject([{ assigned: [{ topic: "other", partition: 0 }] }]);
  });

  test("of a static instance that leaves is expected back, and then has what it had", async () => {
    const { world } = worldWith(2);
    const first = await Member.join(world, { instance_id: "one" });
    const second = await Member.join(world);
    await first.send({ type: "revoked", member_epoch: first.assignments().at(-1)?.member_epoch ?? 0 });
    second.assignments();
    await first.send({ type: "leave" });
    await world.advance(30_000);
    const again = await Member.join(world, { instance_id: "one" });
    expect(again.joined.member_id).not.toBe(first.joined.member_id);
    expect(again.news()).toEqual([[0], []]);
    expect(second.assignments()).toEqual([]);
    await again.send({ type: "leave" });
    await world.advance(45_000);
    expect(second.news()).toEqual([[0], []]);
  });

  test.each([
    ["not JSON", "{"],
    ["a type that is none", '{"type":"dance"}'],
    ["a join to nothing", '{"type":"join","topics":[]}'],
    ["an epoch without a member id", '{"type":"join","topics":["a"],"member_epoch":1}'],
    ["a member id that an attachment cannot hold", '{"type":"join","topics":["a"],"member_id":"ü"}'],
    ["a pattern that is none", '{"type":"join","topic_pattern":"("}'],
    ["an assignor that is none", '{"type":"join","topics":["a"],"assignor":"best"}'],
    ["a commit before joining", '{"type":"commit","id":1,"offsets":[]}'],
    ["a commit without an id", '{"type":"commit","offsets":[]}'],
  ])("that sends %s is refused, and the group does not come to be by it", async (_, text) => {
    const { world } = worldWith(1);
    const member = new Member(world);
    await member.sendText(text);
    expect(member.error).toMatch(/^(INVALID_|UNSUPPORTED_ASSIGNOR)/);
    expect(member.closed?.code).toBe(4_400);
    expect(world.sockets.size).toBe(0);
  });
});

describe("a coordinator of members with sockets", () => {
  test("that is evicted knows whose sockets it has, and writes nothing when it wakes", async () => {
    const { world, topicId } = worldWith(2);
    const first = await Member.join(world);
    const second = await Member.join(world);
    await first.send({ type: "revoked", member_epoch: first.assignments().at(-1)?.member_epoch ?? 0 });
    second.assignments();
    const before = await describeGroup(world);
    const { rowsWritten } = world.storage;
    await world.evict();
    expect(await describeGroup(world)).toEqual(before);
    await world.evict();
    expect(world.storage.rowsWritten).toBe(rowsWritten);
    await first.send(commit(topicId, 0, 3));
    expect(first.committed).toEqual([{ type: "committed", id: 1 }]);
    await world.evict();
    await second.send({ type: "leave" });
    expect(first.news()).toEqual([[1], []]);
  });

  test("has no alarm but the one that looks after the sockets, however long nothing happens", async () => {
    const { world } = worldWith(4);
    const members = [];
    for (let index = 0; index < 4; index++) members.push(await Member.join(world));
    for (let round = 0; round < 4; round++) {
      for (const member of members) {
        for (const { member_epoch, revoke } of member.assignments()) {
          if (revoke.length > 0) await member.send({ type: "revoked", member_epoch });
        }
      }
    }
    expect((await describeGroup(world)).state).toBe("Stable");
    await world.alarm();
    const begunAtMs = world.nowMs;
    expect(world.storage.alarmAtMs).toBe(begunAtMs + GROUP_SOCKET_LOOK_MS.asleep);
    await world.advance(5 * GROUP_SOCKET_LOOK_MS.asleep);
    expect(members.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined, undefined]);
    expect((await describeGroup(world)).members).toHaveLength(4);
  });

  test("closes a socket that was silent for too long when something wakes it, and lets its member come back", async () => {
    const { world, topicId } = worldWith(2);
    const silent = await Member.join(world);
    const other = await Member.join(world);
    silent.socket.deafSinceMs = world.nowMs;
    await world.advance(GROUP_SOCKET_SILENCE_MS_MAX - 1);
    await other.send(commit(topicId, 0, 1));
    expect(world.sockets.size).toBe(2);
    await world.advance(GROUP_SOCKET_LOOK_MS.awake);
    await other.send(commit(topicId, 0, 1));
    expect(world.sockets.size).toBe(1);
    other.assignments();
    await world.advance(GROUP_SOCKET_GRACE_MS);
    expect(other.news()[0]).toHaveLength(2);
  });

  test("closes a socket over which nobody joins", async () => {
    const { world, topicId } = worldWith(1);
    const member = await Member.join(world);
    const idle = new Member(world);
    await world.advance(GROUP_SOCKET_JOIN_MS_MAX);
    await member.send(commit(topicId, 0, 1));
    expect(idle.closed).toEqual({ code: 4_504, reason: "REQUEST_TIMED_OUT" });
  });

  test("that was killed takes its members back, and the others for gone", async () => {
    const { world } = worldWith(2);
    const first = await Member.join(world);
    const second = await Member.join(world);
    await first.send({ type: "revoked", member_epoch: first.assignments().at(-1)?.member_epoch ?? 0 });
    world.kill();
    expect(first.closed?.code).toBe(1006);
    const { member_id, member_epoch } = second.joined;
    const back = await Member.join(world, { member_id, member_epoch });
    expect(back.news()).toEqual([[1], []]);
    await world.advance(GROUP_SOCKET_GRACE_MS);
    expect(back.news()).toEqual([[0], []]);
  });

  test("tells of partitions that were added as soon as something wakes it", async () => {
    const { world, topicId } = worldWith(1);
    const member = await Member.join(world);
    member.assignments();
    world.setTopic(TOPIC, 3, topicId);
    await member.send({ type: "refresh" });
    expect(member.news()).toEqual([[1, 2], []]);
    world.setTopic(TOPIC, 4, topicId);
    await world.advance(GROUP_SOCKET_LOOK_MS.asleep);
    expect(member.news()).toEqual([[3], []]);
  });

  test("lists a large assignment in several messages", async () => {
    const { world } = worldWith(2_500);
    const first = await Member.join(world);
    const given = first.assignments();
    expect(given.map(({ assigned, more }) => [assigned.length, more])).toEqual([
      [1_000, true],
      [1_000, true],
      [500, false],
    ]);
    await Member.join(world);
    const told = first.assignments();
    expect(told.map(({ revoke, more }) => [revoke.length, more])).toEqual([
      [1_000, true],
      [250, false],
    ]);
  });
});

describe("members of several kinds", () => {
  test("share a group: what a Kafka client gives up at its heartbeat is pushed to a socket, and the other way round", async () => {
    const { world, topicId } = worldWith(2);
    const beat = (request: object) =>
      world.ask((group) => group.consumerGroupHeartbeat(heartbeatRequest({ memberId: "kafka", ...request })));
    const joining = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: [TOPIC], topicPartitions: [] };
    ok(await beat(joining));
    const member = await Member.join(world);
    expect(member.news()).toEqual([[], []]);
    const told = ok(await beat({ memberEpoch: 1 }));
    const kept = told.assignment ?? [];
    expect(kept).toEqual([{ topicId, partitions: [0] }]);
    ok(await beat({ memberEpoch: 1, topicPartitions: kept }));
    expect(member.news()).toEqual([[1], []]);
    // Two of three have to make room.
    const third = await beat({ ...joining, memberId: "another" });
    expect(ok(third).memberEpoch).toBe(3);
    await world.advance(45_000);
    expect(member.assignments().at(-1)?.assigned).toMatchObject([{ partition: 0 }]);
  });

  test("a Kafka client cannot speak for a member with a socket", async () => {
    const { world } = worldWith(1);
    await Member.join(world, { member_id: "mine" });
    const beat = heartbeatRequest({ memberId: "mine", memberEpoch: 1 });
    expect(await world.ask((group) => group.consumerGroupHeartbeat(beat))).toMatchObject({
      error: "UNKNOWN_MEMBER_ID",
    });
  });

  test("the first socket takes a group of the classic protocol along", async () => {
    const world = new GroupWorld();
    world.setTopic(TOPIC, 2, "A".repeat(22));
    const classic = await alone(world, {}, new Uint8Array());
    const member = await Member.join(world);
    expect(member.assignments()).toMatchObject([{ revoke: [] }]);
    const description = await describeGroup(world);
    expect(description.members.map(({ type }) => type)).toEqual(["classic", "consumer"]);
    // And gives it back when it goes.
    await member.send({ type: "leave" });
    expect(ok(await world.ask((group) => group.summary())).type).toBe("classic");
    expect(classic.generation).toBe(1);
  });

  test("a group whose members are no consumers takes no socket, and says why", async () => {
    const { world } = worldWith(1);
    const protocols = [{ name: "compatible", metadata: new Uint8Array([1]) }];
    const request = joinRequest({ protocolType: "connect", protocols, requiresKnownMemberId: false });
    ok(await world.ask((group) => group.joinGroup(request)));
    const member = await Member.join(world);
    expect(member.error).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect(JSON.stringify(member.messages)).toContain("connect");
    expect(member.closed?.code).toBe(4_409);
  });

  test("a member of the classic protocol that shares no protocol with the group is refused beside a socket", async () => {
    const { world } = worldWith(1);
    await Member.join(world);
    const protocols = [{ name: "mine", metadata: subscriptionBytes([TOPIC]) }];
    const request = joinRequest({ protocols, protocolType: "connect", requiresKnownMemberId: false });
    expect(await world.ask((group) => group.joinGroup(request))).toMatchObject({
      error: "INCONSISTENT_GROUP_PROTOCOL",
    });
  });
});
