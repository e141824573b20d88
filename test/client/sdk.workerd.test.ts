/** The SDK inside a Worker that reaches the cluster by a service binding. */

import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Edgelog, webSocketOver } from "../../src/client/index.ts";
import { unwrap } from "../../src/model/errors.ts";
import { controller, leaderOf } from "../partition/support.ts";

const binding = exports.default;
const fetch = binding.fetch.bind(binding);
const client = () => new Edgelog({ url: "http://localhost:8787", fetch, WebSocket: webSocketOver(fetch) });

test("a Worker produces and consumes over a service binding", async () => {
  const sdk = client();
  await sdk.topics.create("from-a-worker", { partitions: 3 });
  const producer = sdk.producer({ topic: "from-a-worker", compression: "zstd" });
  await producer.send(Array.from({ length: 300 }, (_, i) => ({ key: `${i}`, value: `value ${i}` })));
  await producer.close();
  const values: (string | null)[] = [];
  for await (const record of sdk.consume("from-a-worker", { from: "earliest" })) {
    values.push(record.text());
    if (values.length === 300) break;
  }
  expect(new Set(values)).toEqual(new Set(Array.from({ length: 300 }, (_, i) => `value ${i}`)));
});

test("a Worker's subscription gets records as they are produced, over one connection for all partitions", async () => {
  const sdk = client();
  await sdk.topics.create("live-in-a-worker", { partitions: 2 });
  const records = sdk.consume("live-in-a-worker", { maxDirectConnections: 0 });
  await records.positions();
  const producer = sdk.producer({ topic: "live-in-a-worker", lingerMs: 0 });
  for (const value of ["a", "b", "c"]) {
    await producer.send({ value, partition: value === "b" ? 1 : 0 });
    expect((await records.next()).value?.text()).toBe(value);
  }
  await records.close();
  await producer.close();
});

test("a Worker is a member of a group, while the group's coordinator comes and goes", async () => {
  const sdk = client();
  await sdk.topics.create("shared-in-workers", { partitions: 2 });
  const producer = sdk.producer({ topic: "shared-in-workers", lingerMs: 0 });
  const consume = () =>
    sdk.consume("shared-in-workers", { group: "workers", from: "earliest", autoCommitIntervalMs: 20 });
  const first = consume();
  await producer.send({ value: "a", partition: 0 });
  expect((await first.next()).value?.text()).toBe("a");
  const coordinator = env.GROUP.get(env.GROUP.idFromName("workers"));
  await evictDurableObject(coordinator);
  await first.commit();
  const second = consume();
  const next = second.next();
  await evictDurableObject(coordinator);
  await producer.send({ value: "b", partition: 1 });
  expect((await next).value).toMatchObject({ partition: 1, offset: 0 });
  expect([first, second].map((member) => member.assignment().map(({ partition }) => partition))).toEqual([
    [0],
    [1],
  ]);
  await Promise.all([first.close(), second.close()]);
  expect(await sdk.groups.offsets("workers")).toMatchObject([
    { partition: 0, offset: 1 },
    { partition: 1, offset: 0 },
  ]);
  await producer.close();
});

test("errors of the cluster arrive by their names", async () => {
  const sdk = client();
  await sdk.topics.create("twice");
  await expect(sdk.topics.create("twice")).rejects.toMatchObject({ code: "TOPIC_ALREADY_EXISTS" });
  await expect(sdk.topics.describe("never")).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
  await expect(sdk.consume("never").next()).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
});

test("a subscription that fell behind until its records were only in R2 goes on there, and then live", async () => {
  const sdk = client();
  const name = "fell-behind";
  await sdk.topics.create(name, {
    configs: {
      "segment.bytes": 50_000,
      "edgelog.local.drop.delay.ms": 0,
      "file.delete.delay.ms": 0,
    },
  });
  const producer = sdk.producer({ topic: name, lingerMs: 0, maxRequestSize: 11_000 });
  const value = (i: number) => `${i} ${"x".repeat(10_000)}`;
  for (let i = 0; i < 40; i += 1) await producer.send({ value: value(i) });

  const disconnects: string[] = [];
  let connections = 0;
  const WebSocket = class extends webSocketOver(fetch) {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      connections += 1;
    }
  };
  const records = new Edgelog({ url: "http://localhost:8787", fetch, WebSocket }).consume(name, {
    from: "earliest",
    creditBytes: 65_536,
    onDisconnect: ({ message }) => disconnects.push(message),
  });
  const texts = [(await records.next()).value?.text()];
  // While the loop stands still, what it has not been sent yet leaves the partition's memory and SQLite.
  await sdk.topics.alter(name, { configs: { "local.retention.ms": 0 } });
  const leader = leaderOf(unwrap(await controller().topic(name)));
  for (let i = 0; i < 5; i += 1) await runDurableObjectAlarm(leader);
  await evictDurableObject(leader);
  for (let i = 40; i < 45; i += 1) await producer.send({ value: value(i) });

  for await (const record of records) {
    texts.push(record.text());
    if (texts.length === 45) break;
  }
  expect(texts).toEqual(Array.from({ length: 45 }, (_, i) => value(i)));
  expect(connections, "it has not left the leader").toBeGreaterThan(1);
  expect(disconnects, "being told to come again is no disconnect").toEqual([]);
});
