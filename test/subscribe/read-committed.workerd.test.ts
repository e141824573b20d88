/** What of transactions comes to those who ask for what is committed, over every way of subscribing. */

import { evictDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Topic } from "../../src/model/topic.ts";
import { appended, createTopic, leaderOf } from "../partition/support.ts";
import { TransactionalProducer } from "../partition/transactional-producer.ts";
import { EventReader, request, Subscriber } from "./clients.ts";
import { earliestLocal, TINY, tier } from "./tiering.ts";

const BINARY = "edgelog.v1.binary";
const JSON_TEXT = "edgelog.v1.json";
const COMMITTED = "isolation=read_committed";
const path = (topic: Topic, query: string) => `/v1/topics/${topic.name}/subscribe?${query}`;

/** Committed "a", aborted "b", and an open transaction with "c" in front of "d", which is of none. */
async function fill(topic: Topic): Promise<TransactionalProducer> {
  const producer = new TransactionalProducer();
  await producer.send(topic, ["a"]);
  await producer.commit();
  await producer.send(topic, ["b"]);
  await producer.abort();
  await producer.send(topic, ["c"]);
  await appended(topic, ["d"]);
  return producer;
}

describe.each([BINARY, JSON_TEXT])("a read_committed socket (%s)", (subprotocol) => {
  test.each([
    ["of one partition", 1, "partition=0&offset=earliest"],
    ["of several partitions", 2, "offset=earliest"],
  ])("%s gets what is committed, once it is", async (_, partitions, query) => {
    const topic = await createTopic({}, partitions);
    const producer = await fill(topic);
    const subscriber = await Subscriber.open(path(topic, `${query}&${COMMITTED}`), subprotocol);
    await subscriber.until(({ messages }) => messages.length === partitions);
    expect(subscriber.messages[0]).toEqual({
      type: "caught_up",
      partition: 0,
      next: 4,
      high_watermark: 6,
    });
    expect(subscriber.values).toEqual(["a"]);
    await evictDurableObject(leaderOf(topic));
    await producer.commit();
    await subscriber.until(({ positions }) => positions.get(0) === 7);
    expect(subscriber.values).toEqual(["a", "c", "d"]);
    subscriber.close();
  });

  test("moves on behind what was aborted, without a record", async () => {
    const topic = await createTopic();
    const subscriber = await Subscriber.open(path(topic, `partition=0&${COMMITTED}`), subprotocol);
    const producer = new TransactionalProducer();
    await producer.send(topic, ["never"]);
    await producer.abort();
    await subscriber.until(({ positions }) => positions.get(0) === 2);
    expect(subscriber.values).toEqual([]);
    subscriber.close();
  });

  test.each(["partition=0&offset=0", "offset=earliest"])(
    "gets what lies in R2, and waits though the open transaction begins there (%s)",
    async (query) => {
      const topic = await createTopic(TINY);
      const [aborting, open] = [new TransactionalProducer(), new TransactionalProducer()];
      const long = (name: string) => `${name} ${"x".repeat(400)}`;
      for (const name of ["0", "1", "2", "3"]) {
        await appended(topic, [long(name)]);
        await aborting.send(topic, [long("aborted")]);
      }
      await aborting.abort();
      await open.send(topic, [long("open")]);
      for (const name of ["4", "5", "6", "7"]) await appended(topic, [long(name)]);
      await tier(topic);
      const subscriber = await Subscriber.open(path(topic, `${query}&${COMMITTED}`), subprotocol);
      await subscriber.until(({ messages }) => messages.length === 1);
      // It waits at the open transaction's first record, which is no longer in SQLite.
      expect(subscriber.messages).toMatchObject([{ type: "caught_up", next: 9 }]);
      expect(await earliestLocal(topic)).toBeGreaterThan(9);
      expect(subscriber.values.map((value) => value[0])).toEqual(["0", "1", "2", "3"]);
      await open.commit();
      await subscriber.until(({ positions }) => positions.get(0) === 15);
      expect(subscriber.values.map((value) => value[0])).toEqual([
        "0",
        "1",
        "2",
        "3",
        "o",
        "4",
        "5",
        "6",
        "7",
      ]);
      subscriber.close();
    },
  );
});

test("a read_committed event stream brings what is committed, once it is", async () => {
  const topic = await createTopic();
  const producer = await fill(topic);
  const stream = await request(path(topic, `offset=earliest&${COMMITTED}`), { accept: "text/event-stream" });
  const events = new EventReader(stream);
  const values: unknown[] = [];
  const until = async (type: string, next: number) => {
    for (;;) {
      const event = await events.next();
      if (event === undefined) throw new Error("the stream has ended");
      const { message } = event;
      if (message.type === "records") values.push(...message.records.map(({ value }) => value));
      if (message.type === type && "next" in message && message.next === next) return event.id;
    }
  };
  expect(await until("caught_up", 4)).toBe("0:4");
  expect(values).toEqual(["a"]);
  await producer.abort();
  expect(await until("records", 7)).toBe("0:7");
  expect(values).toEqual(["a", "d"]);
  await events.cancel();
});

test("an isolation that there is none of is refused", async () => {
  const topic = await createTopic();
  const answer = await request(path(topic, "isolation=serializable"), { upgrade: "websocket" });
  expect(answer.status).toBe(400);
  expect(await answer.text()).toContain("isolation");
});
