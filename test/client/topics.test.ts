import { expect, test } from "vitest";
import { Edgelog } from "../../src/client/index.ts";
import { useCluster } from "./cluster.ts";

const cluster = useCluster();

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const each of source) list.push(each);
  return list;
}

test("topics are created, described, listed, altered and deleted", async () => {
  const { topics } = cluster.client();
  const created = await topics.create("life", { partitions: 2, configs: { "retention.ms": 3_600_000 } });
  expect(created).toMatchObject({ name: "life", partitions: 2, configs: { "retention.ms": "3600000" } });
  await expect(topics.create("life")).rejects.toMatchObject({
    code: "TOPIC_ALREADY_EXISTS",
    retriable: false,
  });

  const described = await topics.describe("life");
  expect(described.id).toBe(created.id);
  expect(described.configsInEffect).toMatchObject({ "retention.ms": "3600000", "cleanup.policy": "delete" });

  const altered = await topics.alter("life", { partitions: 3, configs: { "retention.ms": null } });
  expect(altered).toMatchObject({ partitions: 3, configs: {} });
  await expect(topics.alter("life", { partitions: 2 })).rejects.toMatchObject({ code: "INVALID_PARTITIONS" });
  await expect(topics.alter("life", { configs: { "no.such.config": "1" } })).rejects.toMatchObject({
    code: "INVALID_CONFIG",
  });

  const names = async () => (await all(topics.list())).map(({ name }) => name);
  expect(await names()).toContain("life");
  await topics.delete("life");
  expect(await names()).not.toContain("life");
  await expect(topics.describe("life")).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
  await expect(topics.delete("life")).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
});

test("offsets are found by name and by time", async () => {
  const topic = await cluster.newTopic(3);
  const client = cluster.client();
  const producer = client.producer({ topic, lingerMs: 0 });
  for (const timestamp of [1_000, 2_000, 3_000]) await producer.send({ value: "x", partition: 1, timestamp });
  expect((await client.topics.offsets(topic)).map(({ offset }) => offset)).toEqual([0, 3, 0]);
  const at = async (timestamp: "earliest" | "latest" | number) =>
    client.topics.offsets(topic, { partitions: [1], timestamp });
  expect(await at("earliest")).toMatchObject([{ partition: 1, offset: 0 }]);
  expect(await at(1_500)).toEqual([{ partition: 1, offset: 1, timestamp: 2_000 }]);
  expect(await at(4_000)).toEqual([{ partition: 1, offset: -1, timestamp: -1 }]);
});

test("a change whose answer was lost is found made, not refused", async () => {
  const { topics } = cluster.client({ url: cluster.proxy.url, retryBackoffMs: 10 });
  const loseAnswerOnce = (method: string) => {
    let isLost = false;
    cluster.proxy.fault = (text) => {
      if (isLost || !text.startsWith(method)) return undefined;
      isLost = true;
      return "drop answer";
    };
  };
  loseAnswerOnce("POST");
  await expect(topics.create("lost", { partitions: 2 })).resolves.toMatchObject({ partitions: 2 });
  loseAnswerOnce("PATCH");
  const change = { partitions: 3, configs: { "retention.ms": 3_600_000 } };
  await expect(topics.alter("lost", change)).resolves.toMatchObject({
    partitions: 3,
    configs: { "retention.ms": "3600000" },
  });
  await expect(topics.alter("lost", change)).rejects.toMatchObject({ code: "INVALID_PARTITIONS" });
  loseAnswerOnce("DELETE");
  await topics.delete("lost");
  cluster.proxy.fault = () => undefined;
  await expect(topics.describe("lost")).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
});

test("a signal ends a call", async () => {
  const { topics } = cluster.client();
  const signal = AbortSignal.abort(new Error("no longer wanted"));
  await expect(topics.describe("any", { signal })).rejects.toThrow("no longer wanted");
  await expect(all(topics.list({ signal }))).rejects.toThrow("no longer wanted");
});

test("an address that answers, but is no cluster, is told apart", async () => {
  const fetch = async () => new Response("<html>hello</html>", { status: 200 });
  const client = new Edgelog({ url: "http://127.0.0.1:1", fetch, requestTimeoutMs: 200 });
  await expect(client.topics.describe("t")).rejects.toThrow("is this an Edgelog cluster?");
  expect(() => new Edgelog({ url: "localhost:8787" })).toThrow("http://127.0.0.1:8787");
});
