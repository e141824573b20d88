/** A cluster that asks for a token. */

import { expect, test } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { take, useCluster } from "./cluster.ts";

const cluster = useCluster({ rootToken: "a-token-for-tests-0123456789abcdef" });

test("with the token, one produces over HTTP and consumes over WebSocket, whose URL carries only a ticket", async () => {
  const topic = await cluster.newTopic(2);
  const client = cluster.client();
  const producer = client.producer({ topic });
  await producer.send([
    { value: "a", partition: 0 },
    { value: "b", partition: 1 },
  ]);
  const urls: string[] = [];
  const WebSocket = class extends globalThis.WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      urls.push(url);
    }
  };
  const watched = cluster.client({ WebSocket });
  for (const maxDirectConnections of [8, 0]) {
    const records = await take(watched.consume(topic, { from: "earliest", maxDirectConnections }), 2);
    expect(records.map((record) => record.text()).sort()).toEqual(["a", "b"]);
  }
  expect(urls).toHaveLength(3);
  for (const url of urls) {
    expect(url).toMatch(/[?&]ticket=/);
    expect(url).not.toContain("a-token-for-tests");
  }
  expect(new Set(urls.map((url) => new URL(url).searchParams.get("ticket"))).size).toBe(3);
});

test.each([
  ["a wrong token", "wrong"],
  ["no token", undefined],
])("with %s, everything is refused at once", async (_, token) => {
  const topic = await cluster.newTopic();
  const stranger = new Edgelog({ url: cluster.url, ...(token !== undefined && { token }) });
  const refused = { code: "SASL_AUTHENTICATION_FAILED", retriable: false };
  await expect(stranger.topics.describe(topic)).rejects.toMatchObject(refused);
  await expect(stranger.producer({ topic }).send({ value: "x" })).rejects.toMatchObject(refused);
  await expect(stranger.consume(topic).next()).rejects.toMatchObject(refused);
});
