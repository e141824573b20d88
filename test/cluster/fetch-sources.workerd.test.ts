import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { FetchSources } from "../../src/cluster/fetch-sources.ts";
import { ok } from "./results.ts";
import { batchOf, createTopic, leaderStub } from "./support.ts";

test("a partition that a Fetch names twice has one notice socket, which tells both", async () => {
  const cluster = new Cluster(env);
  const topic = await createTopic();
  const over = new AbortController();
  const sources = new FetchSources(cluster, over.signal);
  const waiting = { topic, partition: 0, isolation: "read_uncommitted", offset: 0 } as const;
  const moved = sources.moved([waiting, waiting], 20_000);
  ok(await cluster.append(topic, 0, batchOf(["a"])));
  expect(await moved).toBe(true);
  const sockets = await runInDurableObject(leaderStub(topic), (_, state) => state.getWebSockets().length);
  expect(sockets).toBe(1);
  over.abort();
  sources.close();
});
