import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { isFailure } from "../../src/model/errors.ts";
import { GROUP_SOCKET_GRACE_MS } from "../../src/model/limits.ts";
import {
  type AssignedMessage,
  type CoordinatorMessage,
  encodeMemberMessage,
  type JoinMessage,
  type MemberMessage,
  parseCoordinatorMessage,
} from "../../src/subscribe/group-protocol.ts";
import { ok } from "../cluster/results.ts";
import { createTopic } from "../cluster/support.ts";
import { request } from "../subscribe/clients.ts";

const JSON_TEXT = "edgelog.v1.json";

function newGroup() {
  const groupId = `group ${crypto.randomUUID()}`;
  return { groupId, group: env.GROUP.get(env.GROUP.idFromName(groupId)) };
}

/** Gives up at once what it is told to. */
class Member {
  readonly messages: CoordinatorMessage[] = [];
  readonly owned = new Map<number, AssignedMessage>();
  readonly protocol: string | null;
  readonly #socket: WebSocket;
  pongs = 0;
  isClosed = false;
  #changed: () => void = () => {};

  constructor(response: Response) {
    if (response.webSocket === null) throw new Error(`not upgraded: ${response.status}`);
    this.protocol = response.headers.get("sec-websocket-protocol");
    this.#socket = response.webSocket;
    this.#socket.addEventListener("message", ({ data }) => this.#received(String(data)));
    this.#socket.addEventListener("close", () => {
      this.isClosed = true;
      this.#changed();
    });
    this.#socket.accept();
  }

  static async join(groupId: string, join: Partial<JoinMessage>): Promise<Member> {
    const path = `/v1/groups/${encodeURIComponent(groupId)}/subscribe`;
    const member = new Member(
      await request(path, { upgrade: "websocket", "sec-websocket-protocol": JSON_TEXT }),
    );
    member.send({ type: "join", ...join });
    await member.until(({ messages }) => messages.some(({ type }) => type === "assignment"));
    return member;
  }

  get joined() {
    const joined = this.messages.find(({ type }) => type === "joined");
    if (joined?.type !== "joined") throw new Error("not joined");
    return joined;
  }

  send(message: MemberMessage): void {
    this.#socket.send(encodeMemberMessage(message));
  }

  ping(): void {
    this.#socket.send("ping");
  }

  close(): void {
    this.#socket.close(1000);
  }

  async until(done: (member: this) => boolean): Promise<void> {
    while (!done(this)) {
      if (this.isClosed) throw new Error(`closed: ${JSON.stringify(this.messages.at(-1))}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  #received(text: string): void {
    if (text === "pong") this.pongs += 1;
    else {
      const message = parseCoordinatorMessage(text);
      if (message === undefined || isFailure(message)) throw new Error(`not a message: ${text}`);
      this.messages.push(message);
      if (message.type === "assignment") {
        for (const assigned of message.assigned) this.owned.set(assigned.partition, assigned);
        for (const { partition } of message.revoke) this.owned.delete(partition);
        if (message.revoke.length > 0) this.send({ type: "revoked", member_epoch: message.member_epoch });
      }
    }
    this.#changed();
  }
}

describe("a WebSocket as a member of a group", () => {
  test("joins, commits and leaves through the Worker", async () => {
    const { groupId, group } = newGroup();
    const topic = await createTopic({}, 2);
    const member = await Member.join(groupId, { topics: [topic.name], client_id: "a page" });
    expect(member.protocol).toBe(JSON_TEXT);
    expect([...member.owned.keys()]).toEqual([0, 1]);
    member.send({ type: "commit", id: 7, offsets: [{ topic_id: topic.id, partition: 1, offset: 3 }] });
    await member.until(({ messages }) => messages.some(({ type }) => type === "committed"));
    expect(member.messages.at(-1)).toEqual({ type: "committed", id: 7 });
    expect(ok(await group.describe())).toMatchObject({ members: [{ clientId: "a page" }] });
    member.send({ type: "leave" });
    await member.until(({ messages }) => messages.at(-1)?.type === "left");
    expect(ok(await group.summary())).toMatchObject({ type: "consumer", state: "Empty" });
  });

  test("stays one while the coordinator is evicted, and is told what happens after that", async () => {
    const { groupId, group } = newGroup();
    const topic = await createTopic({}, 4);
    const members: Member[] = [];
    for (let count = 1; count <= 3; count++) {
      members.push(await Member.join(groupId, { topics: [topic.name] }));
      await evictDurableObject(group);
    }
    const isShared = () => {
      const owned = members.flatMap(({ owned }) => [...owned.keys()]);
      return owned.length === 4 && new Set(owned).size === 4 && members.every(({ owned }) => owned.size > 0);
    };
    for (const member of members) while (!isShared()) await member.until(isShared);
    const [first, second, third] = members;
    if (first === undefined || second === undefined || third === undefined) throw new Error("three");
    first.ping();
    await first.until(({ pongs }) => pongs === 1);
    const partition = [...first.owned.keys()][0] ?? 0;
    first.send({ type: "commit", id: 1, offsets: [{ topic_id: topic.id, partition, offset: 12 }] });
    await first.until(({ messages }) => messages.at(-1)?.type === "committed");
    await evictDurableObject(group);
    first.send({ type: "leave" });
    const others = [second, third];
    const isTakenOver = () => others.reduce((sum, { owned }) => sum + owned.size, 0) === 4;
    await Promise.race(others.map((member) => member.until(isTakenOver)));
    const successor = others.find(({ owned }) => owned.has(partition));
    expect(successor?.owned.get(partition)?.offset).toBe(12);
  });

  test("whose socket closes without a word is a member until its time is up", async () => {
    const { groupId, group } = newGroup();
    const topic = await createTopic({}, 1);
    const member = await Member.join(groupId, { topics: [topic.name], member_id: "tab" });
    member.close();
    const silentUntilMs = () =>
      runInDurableObject(group, (_, { storage }) =>
        Number(storage.sql.exec("SELECT silent_until_ms AS ms FROM members").toArray()[0]?.ms ?? 0),
      );
    let untilMs = await silentUntilMs();
    while (untilMs === 0) untilMs = await silentUntilMs();
    expect(untilMs).toBeLessThanOrEqual(Date.now() + GROUP_SOCKET_GRACE_MS);
    // The deadline is stored: waking anew does not move it.
    await evictDurableObject(group);
    expect(await silentUntilMs()).toBe(untilMs);
    const back = await Member.join(groupId, { topics: [topic.name], member_id: "tab", member_epoch: 1 });
    expect(back.joined.resumed).toBe(true);
    expect(await silentUntilMs()).toBe(0);
  });

  test("keeps no alarm closer than the one that looks after sockets", async () => {
    const { groupId, group } = newGroup();
    const topic = await createTopic({}, 1);
    await Member.join(groupId, { topics: [topic.name] });
    const alarmInMs = () =>
      runInDurableObject(group, async (_, { storage }) => ((await storage.getAlarm()) ?? 0) - Date.now());
    // Of what was set for the time before the socket was a member's nothing is left after one run.
    await runDurableObjectAlarm(group);
    expect(await alarmInMs()).toBeGreaterThan(800_000);
  });

  test("is refused where there is none", async () => {
    const { groupId } = newGroup();
    const path = `/v1/groups/${encodeURIComponent(groupId)}/subscribe`;
    const plain = await request(path);
    expect([plain.status, await plain.json()]).toMatchObject([426, { error: { code: "UPGRADE_REQUIRED" } }]);
    const long = await request(`/v1/groups/${"x".repeat(1_001)}/subscribe`, { upgrade: "websocket" });
    expect([long.status, await long.json()]).toMatchObject([400, { error: { code: "INVALID_GROUP_ID" } }]);
  });
});
