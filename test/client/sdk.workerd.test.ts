/** The SDK inside a Worker that reaches the cluster by a service binding. */

import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Edgelog, webSocketOver } from "../../src/client/index.ts";

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

test("errors of the cluster arrive by their names", async () => {
  const sdk = client();
  await sdk.topics.create("twice");
  await expect(sdk.topics.create("twice")).rejects.toMatchObject({ code: "TOPIC_ALREADY_EXISTS" });
  await expect(sdk.topics.describe("never")).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
  await expect(sdk.consume("never").next()).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
});
