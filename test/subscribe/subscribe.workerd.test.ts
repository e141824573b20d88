import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { isFailure, unwrap } from "../../src/model/errors.ts";
import type { Topic } from "../../src/model/topic.ts";
import { resumeOffset } from "../../src/subscribe/protocol.ts";
import { append, appended, batchOf, controller, createTopic, leaderOf } from "../partition/support.ts";
import { EventReader, request, Subscriber } from "./clients.ts";
import { earliestLocal, TINY, tier } from "./tiering.ts";

const BINARY = "edgelog.v1.binary";
const JSON_TEXT = "edgelog.v1.json";

function counted(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `${from + index} ${"x".repeat(150)}`);
}

async function fill(topic: Topic, values: readonly string[], partition = 0): Promise<void> {
  for (const value of values) unwrap(await append(topic, batchOf([value]), partition));
}

function path(topic: Topic, query: string): string {
  return `/v1/topics/${topic.name}/subscribe?${query}`;
}

describe("a socket on one partition", () => {
  test.each([BINARY, JSON_TEXT, undefined])(
    "gets what there is, then what comes (%s)",
    async (subprotocol) => {
      const topic = await createTopic();
      await fill(topic, ["a", "b"]);
      const subscriber = await Subscriber.open(path(topic, "partition=0&offset=earliest"), subprotocol);
      expect(subscriber.protocol).toBe(subprotocol ?? null);
      await subscriber.until(({ messages }) => messages.length > 0);
      expect(subscriber.messages).toEqual([{ type: "caught_up", partition: 0, next: 2, high_watermark: 2 }]);
      await fill(topic, ["c"]);
      await subscriber.until(({ records }) => records.length === 3);
      expect(subscriber.values).toEqual(["a", "b", "c"]);
      subscriber.close();
    },
  );

  test("lives on when its partition is evicted from memory, without gap or repeat", async () => {
    const topic = await createTopic();
    await fill(topic, ["before"]);
    const subscriber = await Subscriber.open(
      path(topic, "partition=0&offset=earliest&credit_bytes=200"),
      BINARY,
    );
    subscriber.credits = false;
    await subscriber.until(({ records }) => records.length === 1);
    await evictDurableObject(leaderOf(topic));
    await fill(topic, ["a"]);
    await evictDurableObject(leaderOf(topic));
    await fill(topic, ["b", "c", "d"]);
    await evictDurableObject(leaderOf(topic));
    // Its credit is used up; the partition sleeps until it gives more.
    subscriber.send({ type: "credit", bytes: 10_000 });
    await subscriber.until(({ records }) => records.length === 5);
    expect(subscriber.values).toEqual(["before", "a", "b", "c", "d"]);
    expect(subscriber.messages.filter(({ type }) => type === "caught_up")).toHaveLength(1);
    subscriber.close();
  });

  test("has its pings answered", async () => {
    const topic = await createTopic();
    const subscriber = await Subscriber.open(path(topic, "partition=0"), JSON_TEXT);
    const pong = new Promise((resolve) => {
      subscriber.socket.addEventListener("message", ({ data }) => data === "pong" && resolve(data));
    });
    subscriber.socket.send("ping");
    expect(await pong).toBe("pong");
    subscriber.close();
  });

  test("is counted until it closes", async () => {
    const topic = await createTopic();
    await fill(topic, ["a"]);
    const subscribers = async () => {
      const described = await leaderOf(topic).describe({ topicVersion: topic.version });
      return isFailure(described) ? described.error : described.subscribers;
    };
    const subscriber = await Subscriber.open(path(topic, "partition=0"), BINARY);
    expect(await subscribers()).toBe(1);
    subscriber.close();
    await subscriber.untilClosed();
    expect(await subscribers()).toBe(0);
  });

  test("begins at a time", async () => {
    const topic = await createTopic();
    for (const [index, value] of ["a", "b", "c"].entries()) await appended(topic, [value], 1_000_000 + index);
    const subscriber = await Subscriber.open(path(topic, "partition=0&timestamp=1000001"), BINARY);
    await subscriber.until(({ records }) => records.length === 2);
    expect(subscriber.values).toEqual(["b", "c"]);
    subscriber.close();
  });

  test("is told that its offset is not in the log, and what is", async () => {
    const topic = await createTopic();
    await fill(topic, ["a"]);
    const subscriber = await Subscriber.open(path(topic, "partition=0&offset=7"), BINARY);
    expect(await subscriber.untilClosed()).toEqual({ code: 4416, reason: "OFFSET_OUT_OF_RANGE" });
    expect(subscriber.messages).toMatchObject([
      {
        type: "error",
        partition: 0,
        error: { code: "OFFSET_OUT_OF_RANGE" },
        log_start_offset: 0,
        high_watermark: 1,
      },
    ]);
  });

  test("that sends nonsense is told so and closed, and the partition goes on", async () => {
    const topic = await createTopic();
    const subscriber = await Subscriber.open(path(topic, "partition=0"), BINARY);
    const other = await Subscriber.open(path(topic, "partition=0"), BINARY);
    subscriber.socket.send(new Uint8Array([1, 2, 3]));
    expect(await subscriber.untilClosed()).toEqual({ code: 4400, reason: "INVALID_REQUEST" });
    await fill(topic, ["a"]);
    await other.until(({ records }) => records.length === 1);
    other.close();
  });

  test("falls into R2 when it does not read, is told its offset, and gets all of it from there", async () => {
    const topic = await createTopic(TINY);
    const first = await Subscriber.open(path(topic, "partition=0&offset=earliest&credit_bytes=1"), BINARY);
    first.credits = false;
    await fill(topic, counted(0, 30));
    await first.until(({ records }) => records.length === 1);
    await tier(topic);
    expect(await earliestLocal(topic)).toBeGreaterThan(5);
    // Its memory goes, and with it the tail.
    await evictDurableObject(leaderOf(topic));
    first.send({ type: "credit", bytes: 10_000 });
    const { code, reason } = await first.untilClosed();
    expect(code).toBe(4001);
    expect(resumeOffset(reason)).toBe(1);
    const second = await Subscriber.open(path(topic, `partition=0&offset=${resumeOffset(reason)}`), BINARY);
    await second.until(({ records }) => records.length === 29);
    expect([...first.values, ...second.values]).toEqual(counted(0, 30));
    second.close();
  });

  test("hears that its topic is deleted", async () => {
    const topic = await createTopic();
    await fill(topic, ["a"]);
    const subscriber = await Subscriber.open(path(topic, "partition=0"), BINARY);
    unwrap(await controller().deleteTopic(topic.name));
    await runDurableObjectAlarm(controller());
    expect(await subscriber.untilClosed()).toEqual({ code: 4404, reason: "UNKNOWN_TOPIC_ID" });
  });
});

describe("a socket that ends in the Worker", () => {
  test.each([BINARY, JSON_TEXT])("crosses from R2 to the leader and goes live (%s)", async (subprotocol) => {
    const topic = await createTopic(TINY);
    await fill(topic, counted(0, 40));
    await tier(topic);
    const local = await earliestLocal(topic);
    expect(local).toBeGreaterThan(10);
    const subscriber = await Subscriber.open(
      path(topic, "partition=0&offset=3&credit_bytes=1000"),
      subprotocol,
    );
    await subscriber.until(({ records }) => records.length === 37);
    await fill(topic, counted(40, 45));
    await subscriber.until(({ records }) => records.length === 42);
    expect(subscriber.values).toEqual(counted(3, 45));
    expect(subscriber.messages.filter(({ type }) => type === "caught_up")).toHaveLength(1);
    subscriber.close();
  });

  test("goes on without gap or repeat when the leader is restarted, or what it follows falls into R2", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, counted(0, 20));
    await tier(topic);
    const subscriber = await Subscriber.open(path(topic, "partition=0&offset=0&credit_bytes=1"), BINARY);
    subscriber.credits = false;
    await subscriber.until(({ records }) => records.length === 1);
    await evictDurableObject(leaderOf(topic), { webSockets: "close" });
    await fill(topic, counted(20, 60));
    await tier(topic);
    subscriber.credits = true;
    subscriber.send({ type: "credit", bytes: 5_000 });
    await subscriber.until(({ records }) => records.length === 60);
    await evictDurableObject(leaderOf(topic), { webSockets: "close" });
    await fill(topic, counted(60, 70));
    await subscriber.until(({ records }) => records.length === 70);
    expect(subscriber.values).toEqual(counted(0, 70));
    subscriber.close();
  });

  test("carries all partitions of a topic, each in order", async () => {
    const topic = await createTopic({}, 3);
    for (const partition of [0, 1, 2]) await fill(topic, counted(0, 5), partition);
    const subscriber = await Subscriber.open(path(topic, "offset=earliest"), BINARY);
    await subscriber.until(({ records }) => records.length === 15);
    for (const partition of [2, 0, 1]) await fill(topic, counted(5, 8), partition);
    await subscriber.until(({ records }) => records.length === 24);
    for (const partition of [0, 1, 2]) expect(subscriber.valuesOf(partition)).toEqual(counted(0, 8));
    expect(subscriber.messages.filter(({ type }) => type === "caught_up")).toHaveLength(3);
    subscriber.close();
  });

  test("takes partitions and positions by message, also more of them later", async () => {
    const topic = await createTopic({}, 3);
    for (const partition of [0, 1, 2]) await fill(topic, counted(0, 4), partition);
    const subscriber = await Subscriber.open(path(topic, "credit_bytes=0"), JSON_TEXT);
    subscriber.send({
      type: "subscribe",
      partitions: [
        { partition: 2, offset: 3 },
        { partition: 0, offset: "latest" },
      ],
      credit_bytes: 100_000,
    });
    await subscriber.until(({ messages, records }) => messages.length === 2 && records.length === 1);
    subscriber.send({ type: "subscribe", partitions: [{ partition: 1, offset: "earliest" }] });
    await subscriber.until(({ records }) => records.length === 5);
    expect(subscriber.valuesOf(2)).toEqual(counted(3, 4));
    expect(subscriber.valuesOf(0)).toEqual([]);
    expect(subscriber.valuesOf(1)).toEqual(counted(0, 4));
    subscriber.close();
  });

  test("gives partitions up by message, and the others go on", async () => {
    const topic = await createTopic({}, 3);
    for (const partition of [0, 1, 2]) await fill(topic, counted(0, 4), partition);
    const subscriber = await Subscriber.open(path(topic, "credit_bytes=0"), BINARY);
    subscriber.credits = false;
    const start = { offset: "earliest" } as const;
    subscriber.send({ type: "subscribe", partitions: [0, 1].map((partition) => ({ partition, ...start })) });
    // Frames of it wait for credit in front of those of the others.
    subscriber.send({ type: "unsubscribe", partitions: [0] });
    await subscriber.until(({ messages }) => messages.some(({ type }) => type === "unsubscribed"));
    expect(subscriber.messages.at(-1)).toEqual({ type: "unsubscribed", partitions: [0] });
    subscriber.credits = true;
    subscriber.send({ type: "credit", bytes: 100_000 });
    await subscriber.until(({ records }) => records.length === 4);
    await fill(topic, counted(4, 5), 0);
    await fill(topic, counted(4, 5), 1);
    await subscriber.until(({ records }) => records.length === 5);
    expect(subscriber.valuesOf(1)).toEqual(counted(0, 5));
    expect(subscriber.valuesOf(0)).toEqual([]);
    // And takes them again, at another position.
    subscriber.send({ type: "subscribe", partitions: [{ partition: 0, offset: 4 }] });
    await subscriber.until(({ records }) => records.length === 6);
    expect(subscriber.valuesOf(0)).toEqual(counted(4, 5));
    subscriber.close();
  });

  test("gets nothing beyond its credit, whatever the number of partitions", async () => {
    const topic = await createTopic({}, 3);
    for (const partition of [0, 1, 2]) await fill(topic, counted(0, 20), partition);
    const subscriber = await Subscriber.open(path(topic, "offset=earliest&credit_bytes=1000"), BINARY);
    subscriber.credits = false;
    await subscriber.until(({ bytes }) => bytes > 700);
    // Whatever was sent before the pong has come before it.
    const pong = new Promise((resolve) => {
      subscriber.socket.addEventListener("message", ({ data }) => data === "pong" && resolve(data));
    });
    subscriber.socket.send("ping");
    await pong;
    expect(subscriber.bytes).toBeLessThan(1_000 + 300);
    subscriber.credits = true;
    subscriber.send({ type: "credit", bytes: subscriber.bytes });
    await subscriber.until(({ records }) => records.length === 60);
    for (const partition of [0, 1, 2]) expect(subscriber.valuesOf(partition)).toEqual(counted(0, 20));
    subscriber.close();
  });

  test.each([
    ['{"type":"subscribe","partitions":[{"partition":9,"offset":0}]}', 4404, "UNKNOWN_TOPIC_OR_PARTITION"],
    ['{"type":"subscribe","partitions":[{"partition":0}]}', 4400, "INVALID_REQUEST"],
    ['{"type":"subscribe","partitions":[{"partition":1,"offset":99}]}', 4416, "OFFSET_OUT_OF_RANGE"],
    ["nonsense", 4400, "INVALID_REQUEST"],
  ])("that sends %s is told what is wrong and closed", async (text, code, reason) => {
    const topic = await createTopic({}, 2);
    const subscriber = await Subscriber.open(path(topic, ""), JSON_TEXT);
    subscriber.socket.send(text);
    expect(await subscriber.untilClosed()).toEqual({ code, reason });
    expect(subscriber.messages.at(-1)).toMatchObject({ type: "error", error: { code: reason } });
  });

  test("that means another topic of the same name is refused", async () => {
    const topic = await createTopic({}, 2);
    const open = (topicId: string) =>
      request(path(topic, `topic_id=${topicId}`), { upgrade: "websocket", "sec-websocket-protocol": BINARY });
    new Subscriber(await open(topic.id)).close();
    const refused = await open("A".repeat(22));
    expect([refused.status, await refused.json()]).toMatchObject([
      404,
      { error: { code: "UNKNOWN_TOPIC_ID" } },
    ]);
  });

  test("is told when its topic is deleted", async () => {
    const topic = await createTopic({}, 2);
    await fill(topic, ["a"], 1);
    const subscriber = await Subscriber.open(path(topic, "offset=earliest"), BINARY);
    await subscriber.until(({ records }) => records.length === 1);
    unwrap(await controller().deleteTopic(topic.name));
    await runDurableObjectAlarm(controller());
    const { code } = await subscriber.untilClosed();
    expect(code).toBe(4404);
  });
});

describe("an event stream", () => {
  const STREAM = { accept: "text/event-stream" };

  async function open(
    topic: Topic,
    query: string,
    headers: Record<string, string> = {},
  ): Promise<EventReader> {
    const response = await request(path(topic, query), { ...STREAM, ...headers });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    return new EventReader(response);
  }

  /** Values until there are so many, and the id of the last event. */
  async function take(reader: EventReader, count: number): Promise<{ values: string[]; id: string }> {
    const values: string[] = [];
    for (;;) {
      const event = await reader.next();
      if (event === undefined) throw new Error("the stream ended");
      if (event.message.type === "error") throw new Error(event.message.error.message);
      if (event.message.type !== "records") continue;
      for (const { value } of event.message.records) values.push(String(value));
      if (values.length >= count) return { values, id: event.id ?? "" };
    }
  }

  test("gives what there is, from R2 on, and what comes, and resumes where an id says", async () => {
    const topic = await createTopic(TINY);
    await fill(topic, counted(0, 30));
    await tier(topic);
    const reader = await open(topic, "offset=earliest");
    const first = await take(reader, 30);
    expect(first).toEqual({ values: counted(0, 30), id: "0:30" });
    await fill(topic, counted(30, 32));
    const second = await take(reader, 2);
    await reader.cancel();
    expect(second).toEqual({ values: counted(30, 32), id: "0:32" });
    const resumed = await open(topic, "offset=earliest", { "last-event-id": "0:5" });
    expect((await take(resumed, 27)).values).toEqual(counted(5, 32));
    await resumed.cancel();
  });

  test("lists the positions of all partitions in every id, and goes on at each of them", async () => {
    const topic = await createTopic({}, 2);
    await fill(topic, counted(0, 3), 0);
    await fill(topic, counted(0, 2), 1);
    const reader = await open(topic, "offset=earliest");
    const { id } = await take(reader, 5);
    expect(id).toBe("0:3,1:2");
    await reader.cancel();
    await fill(topic, ["new in 0"], 0);
    await fill(topic, ["new in 1"], 1);
    const resumed = await open(topic, "offset=earliest", { "last-event-id": id });
    const { values } = await take(resumed, 2);
    expect(values.toSorted()).toEqual(["new in 0", "new in 1"]);
    await resumed.cancel();
  });

  test("without a start begins at the end", async () => {
    const topic = await createTopic();
    await fill(topic, ["old"]);
    const reader = await open(topic, "");
    expect((await reader.next())?.message).toEqual({
      type: "caught_up",
      partition: 0,
      next: 1,
      high_watermark: 1,
    });
    await fill(topic, ["new"]);
    expect((await take(reader, 1)).values).toEqual(["new"]);
    await reader.cancel();
  });

  test("at a position that the log does not have is refused, so that a browser gives up", async () => {
    const topic = await createTopic();
    await fill(topic, ["a"]);
    const response = await request(path(topic, ""), { ...STREAM, "last-event-id": "0:7" });
    expect(response.status).toBe(416);
    expect(await response.json()).toMatchObject({
      error: { code: "OFFSET_OUT_OF_RANGE" },
      log_start_offset: 0,
      high_watermark: 1,
    });
  });

  test("lets go of its leaders when the reader goes", async () => {
    const topic = await createTopic();
    await fill(topic, ["a"]);
    const reader = await open(topic, "offset=earliest");
    await take(reader, 1);
    await reader.cancel();
    await expect
      .poll(async () => {
        const described = await leaderOf(topic).describe({ topicVersion: topic.version });
        return isFailure(described) ? described.error : described.subscribers;
      })
      .toBe(0);
  });
});

describe("a request to subscribe", () => {
  test.each([
    ["offset=5", {}, 400, "INVALID_REQUEST"],
    ["offset=1&timestamp=1&partition=0", { upgrade: "websocket" }, 400, "INVALID_REQUEST"],
    ["offset=-1&partition=0", { upgrade: "websocket" }, 400, "INVALID_REQUEST"],
    ["credit_bytes=99999999999", { upgrade: "websocket" }, 400, "INVALID_REQUEST"],
    ["unknown=1", { upgrade: "websocket" }, 400, "INVALID_REQUEST"],
    ["partition=2", { upgrade: "websocket" }, 404, "UNKNOWN_TOPIC_OR_PARTITION"],
    ["partition=0", {}, 426, "UPGRADE_REQUIRED"],
    ["", { accept: "text/event-stream", "last-event-id": "zero" }, 400, "INVALID_REQUEST"],
    ["partition=0", { accept: "text/event-stream", "last-event-id": "1:3" }, 400, "INVALID_REQUEST"],
  ])("with %j and %j is refused with %i %s", async (query, headers, status, code) => {
    const topic = await createTopic({}, 2);
    const response = await request(path(topic, query), headers);
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status,
      body: { error: { code } },
    });
  });

  test("to a topic that does not exist is refused", async () => {
    const response = await request("/v1/topics/no-such-topic/subscribe", { upgrade: "websocket" });
    expect(response.status).toBe(404);
  });
});
