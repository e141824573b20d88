import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createTopic } from "../partition/support.ts";
import { TransactionalProducer } from "../partition/transactional-producer.ts";
import { answer, newTopic, produce, refusal, send } from "./http.ts";

let groups = 0;
const newGroup = () => `polled ${++groups} ${crypto.randomUUID()}`;
const path = (group: string, what: string) => `/v1/groups/${encodeURIComponent(group)}/${what}`;

function poll(group: string, body: object) {
  return answer(send("POST", path(group, "poll"), { from: "earliest", ...body }));
}

async function fill(topic: string, from: number, to: number, partitions = 1): Promise<void> {
  for (let i = from; i < to; i++) {
    await answer(produce(topic, { records: [{ value: `${i}`, partition: i % partitions }] }));
  }
}

async function commit(group: string, polled: { member_id: string; member_epoch: number; offsets: object[] }) {
  const { member_id, member_epoch, offsets } = polled;
  const committed = await send("POST", path(group, "commit"), { member_id, member_epoch, offsets });
  expect(committed.status).toBe(204);
}

const values = (polled: { records: { value: string }[] }) => polled.records.map(({ value }) => Number(value));
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe("a poll", () => {
  test("joins, brings records and says what to commit; the next one goes on after that", async () => {
    const topic = await newTopic(2);
    const group = newGroup();
    await fill(topic, 0, 6, 2);
    const first = await poll(group, { topics: [topic] });
    expect(first).toMatchObject({
      member_id: expect.stringMatching(/^.{22}$/),
      member_epoch: 1,
      assignment: [{ topic, partitions: [0, 1] }],
      revoked: [],
    });
    expect(values(first).sort()).toEqual(range(0, 6));
    expect(first.records[0]).toMatchObject({ topic, partition: expect.any(Number), offset: 0, key: null });
    expect(first.offsets).toHaveLength(2);
    const { member_id } = first;
    // Nobody knows whether the answer has come: without a commit the same comes again.
    expect(values(await poll(group, { topics: [topic], member_id })).sort()).toEqual(range(0, 6));
    await commit(group, first);
    expect(values(await poll(group, { topics: [topic], member_id }))).toEqual([]);
    await fill(topic, 6, 8, 2);
    expect(values(await poll(group, { topics: [topic], member_id })).sort()).toEqual([6, 7]);
  });

  test("that says which answer it has had goes on after that, and a lost answer comes again", async () => {
    const topic = await newTopic(1);
    const group = newGroup();
    await fill(topic, 0, 6);
    const options = { topics: [topic], member_id: "cron", max_records: 2 };
    const first = await poll(group, options);
    expect(values(first)).toEqual([0, 1]);
    const lost = await poll(group, { ...options, received: first.poll_id });
    const again = await poll(group, { ...options, received: first.poll_id });
    expect([values(lost), values(again)]).toEqual([
      [2, 3],
      [2, 3],
    ]);
    const third = await poll(group, { ...options, received: again.poll_id });
    expect(values(third)).toEqual([4, 5]);
    // What only its memory knew is lost with it: from what is committed, at least once.
    await commit(group, first);
    await evictDurableObject(env.GROUP.get(env.GROUP.idFromName(group)));
    expect(values(await poll(group, { ...options, received: third.poll_id }))).toEqual([2, 3]);
  });

  test("keeps to how much it asks for, also in the middle of a batch", async () => {
    const topic = await newTopic(1);
    const group = newGroup();
    await answer(produce(topic, { records: range(0, 10).map((i) => ({ value: `${i}`, partition: 0 })) }));
    const options = { topics: [topic], max_records: 4 };
    let polled = await poll(group, options);
    const all = values(polled);
    while (polled.records.length > 0) {
      expect(polled.records.length).toBeLessThanOrEqual(4);
      await commit(group, polled);
      polled = await poll(group, { ...options, member_id: polled.member_id });
      all.push(...values(polled));
    }
    expect(all).toEqual(range(0, 10));
    await answer(produce(topic, { records: [{ value: "json", partition: 0 }] }));
    const small = await poll(group, { topics: [topic], member_id: polled.member_id, max_bytes: 1 });
    expect(small.records).toHaveLength(1);
  });

  test("names the topics that are not there, until they are", async () => {
    const topic = await newTopic(1);
    const [later, group] = [`later-${crypto.randomUUID()}`, newGroup()];
    await fill(topic, 0, 1);
    const options = { topics: [topic, later], member_id: "cron" };
    const first = await poll(group, options);
    expect(first.missing_topics).toEqual([later]);
    expect(values(first)).toEqual([0]);
    expect(await poll(newGroup(), { topics: [topic] })).not.toHaveProperty("missing_topics");
    await answer(send("POST", "/v1/topics", { name: later }), 201);
    await fill(later, 1, 2);
    // The group has looked for topics just now and will not look again for seconds.
    await evictDurableObject(env.GROUP.get(env.GROUP.idFromName(group)));
    const second = await poll(group, options);
    expect(second).not.toHaveProperty("missing_topics");
    expect(values(second).sort()).toEqual([0, 1]);
  });

  test("that waits is answered as soon as there is something", async () => {
    const topic = await newTopic(3);
    const group = newGroup();
    const { member_id } = await poll(group, { topics: [topic] });
    const waiting = poll(group, { topics: [topic], member_id, max_wait_ms: 30_000 });
    await fill(topic, 2, 3, 3);
    expect(values(await waiting)).toEqual([2]);
    const late = await poll(group, { topics: [topic], member_id, received: "nothing", max_wait_ms: 1 });
    expect(values(late)).toEqual([2]);
  });

  test("with read_committed brings what is committed, and moves on behind what was aborted", async () => {
    const topic = await createTopic();
    const producer = new TransactionalProducer();
    await producer.send(topic, ["1"]);
    await producer.commit();
    await producer.send(topic, ["2"]);
    await producer.abort();
    await producer.send(topic, ["3"]);
    const options = { topics: [topic.name], member_id: "cron", isolation: "read_committed" };
    const group = newGroup();
    const first = await poll(group, options);
    expect(values(first)).toEqual([1]);
    expect(first.offsets).toMatchObject([{ offset: 4 }]);
    const started = Date.now();
    const waiting = poll(group, { ...options, received: first.poll_id, max_wait_ms: 30_000 });
    await producer.commit();
    expect(values(await waiting)).toEqual([3]);
    expect(Date.now() - started).toBeLessThan(20_000);
    // Who asks for no isolation sees all of them.
    expect(values(await poll(newGroup(), { topics: [topic.name] }))).toEqual([1, 2, 3]);
  });

  test("at the latest settles where the group begins, for the polls that follow", async () => {
    const topic = await newTopic(1);
    const group = newGroup();
    await fill(topic, 0, 3);
    const first = await poll(group, { topics: [topic], from: "latest" });
    expect(values(first)).toEqual([]);
    await fill(topic, 3, 5);
    expect(
      values(await poll(group, { topics: [topic], from: "latest", member_id: first.member_id })),
    ).toEqual([3, 4]);
  });

  test("after what was committed has been removed goes on where `from` says", async () => {
    const topic = await newTopic(1);
    const group = newGroup();
    await fill(topic, 0, 6);
    const first = await poll(group, { topics: [topic], max_records: 2 });
    await commit(group, first);
    await answer(send("DELETE", `/v1/topics/${topic}/partitions/0/records?before_offset=4`));
    const next = await poll(group, { topics: [topic], member_id: first.member_id });
    expect(values(next)).toEqual([4, 5]);
  });
});

describe("members that poll", () => {
  test("share the partitions: one is told to give up, may commit, and its next poll does", async () => {
    const topic = await newTopic(2);
    const group = newGroup();
    await fill(topic, 0, 4, 2);
    const one = { topics: [topic], member_id: "one" };
    const two = { topics: [topic], member_id: "two" };
    const first = await poll(group, one);
    expect(first.records).toHaveLength(4);
    expect(await poll(group, two)).toMatchObject({ records: [], assignment: [] });
    const told = await poll(group, { ...one, received: first.poll_id, max_wait_ms: 10_000 });
    expect(told).toMatchObject({
      records: [],
      assignment: [{ topic, partitions: [0] }],
      revoked: [{ topic, partitions: [1] }],
    });
    expect((await poll(group, two)).assignment).toEqual([]);
    await commit(group, { ...first, member_epoch: told.member_epoch });
    await poll(group, { ...one, received: told.poll_id });
    await fill(topic, 4, 6, 2);
    const second = await poll(group, two);
    expect(second.assignment).toEqual([{ topic, partitions: [1] }]);
    expect(values(second)).toEqual([5]);
    // Whoever gave it up cannot speak for it at that epoch any more.
    const late = send("POST", path(group, "commit"), { ...pick(first), offsets: first.offsets });
    expect(await refusal(late, 409)).toBe("STALE_MEMBER_EPOCH");
    const left = await send("DELETE", path(group, "members/one"));
    expect(left.status).toBe(204);
    expect((await poll(group, two)).assignment).toEqual([{ topic, partitions: [0, 1] }]);
    expect(await refusal(send("DELETE", path(group, "members/one")), 404)).toBe("UNKNOWN_MEMBER_ID");
  });

  test("are members for as long as they say after their last poll", async () => {
    const topic = await newTopic(1);
    const group = newGroup();
    await poll(group, { topics: [topic], member_id: "slow", session_timeout_ms: 1_800_000 });
    const coordinator = env.GROUP.get(env.GROUP.idFromName(group));
    const alarmAtMs = await runInDurableObject(coordinator, (_, { storage }) => storage.getAlarm());
    expect(alarmAtMs ?? 0).toBeGreaterThan(Date.now() + 590_000);
    const member = await answer(send("GET", path(group, "").slice(0, -1)));
    expect(member.members).toMatchObject([{ member_id: "slow", client_id: "edgelog" }]);
  });

  test.each([
    [{}, "INVALID_REQUEST"],
    [{ topics: ["no topic"] }, "INVALID_TOPIC_EXCEPTION"],
    [{ topic_pattern: "(" }, "INVALID_REGULAR_EXPRESSION"],
    [{ topics: ["t"], max_records: 0 }, "INVALID_REQUEST"],
    [{ topics: ["t"], session_timeout_ms: 1 }, "INVALID_REQUEST"],
    [{ topics: ["t"], member_id: "a b" }, "INVALID_REQUEST"],
    [{ topics: ["t"], unknown: 1 }, "INVALID_REQUEST"],
  ])("are refused for %j", async (body, code) => {
    expect(await refusal(send("POST", path(newGroup(), "poll"), body), 400)).toBe(code);
  });

  test.each([
    [{ member_id: "a", offsets: [] }, "member_epoch: is missing"],
    [
      { member_id: "a", member_epoch: 1, offsets: [{ topic: "t", partition: 0 }] },
      "offsets.0.offset: is missing",
    ],
    [{ member_id: "a b", member_epoch: 1, offsets: [] }, /^member_id: must be 1 to 100 of a-z/],
  ])("are told what is wrong with a commit, each name once: %j", async (body, message) => {
    const { error } = await answer(send("POST", path(newGroup(), "commit"), body), 400);
    expect(error.message).toMatch(message);
  });

  test("cannot commit what they are not, or what is not there", async () => {
    const topic = await newTopic(1);
    const group = newGroup();
    const offsets = [{ topic, partition: 0, offset: 1 }];
    const try_ = (body: object, status: number) =>
      refusal(
        send("POST", path(group, "commit"), { member_id: "me", member_epoch: 1, offsets, ...body }),
        status,
      );
    expect(await try_({}, 404)).toBe("GROUP_ID_NOT_FOUND");
    await poll(group, { topics: [topic], member_id: "me" });
    expect(await try_({ member_id: "other" }, 404)).toBe("UNKNOWN_MEMBER_ID");
    expect(await try_({ member_epoch: 7 }, 409)).toBe("STALE_MEMBER_EPOCH");
    expect(await try_({ offsets: [{ topic, partition: 5, offset: 1 }] }, 404)).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
    const other = { topic, topic_id: "A".repeat(22), partition: 0, offset: 1 };
    expect(await try_({ offsets: [other] }, 404)).toBe("UNKNOWN_TOPIC_ID");
  });
});

function pick({ member_id, member_epoch }: { member_id: string; member_epoch: number }) {
  return { member_id, member_epoch };
}
