import { expect, test } from "vitest";
import type { ResetTo } from "../../src/client/index.ts";
import { useCluster } from "./cluster.ts";

const cluster = useCluster();
let groups = 0;
const newGroup = () => `group/${++groups} ü`;

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const each of source) list.push(each);
  return list;
}

/** Ten records in each of two partitions, the n-th of them n seconds after `start`; the first three are deleted. */
async function newLog(start: number): Promise<string> {
  const topic = await cluster.newTopic(2);
  const client = cluster.client();
  const producer = client.producer({ topic });
  const records = Array.from({ length: 20 }, (_, i) => ({
    value: "x",
    partition: i % 2,
    timestamp: start + Math.floor(i / 2) * 1_000,
  }));
  // One batch each: what a batch holds has one time.
  for (const record of records) await producer.send(record);
  await producer.close();
  for (const partition of [0, 1]) {
    const url = `${cluster.url}/v1/topics/${topic}/partitions/${partition}/records?before_offset=3`;
    expect((await fetch(url, { method: "DELETE" })).status).toBe(200);
  }
  return topic;
}

test("a group is listed and described with its lag, and deleted", async () => {
  const start = Date.now() - 60_000;
  const topic = await newLog(start);
  const group = newGroup();
  const client = cluster.client();
  await client.groups.setOffsets(group, [
    { topic, partition: 0, offset: 6, metadata: "note", leaderEpoch: 0 },
    { topic, partition: 1, offset: 10 },
  ]);
  const listed = { group, type: "classic", state: "Empty", protocolType: "", members: 0 };
  expect(await all(client.groups.list({ state: "empty" }))).toContainEqual(listed);
  expect(await all(client.groups.list({ type: "consumer" }))).not.toContainEqual(listed);
  const described = await client.groups.describe(group);
  expect(described).toMatchObject({ group, state: "Empty", members: [], isPartial: false, lagRecords: 4 });
  expect(described.partitions).toMatchObject([
    {
      partition: 0,
      committedOffset: 6,
      metadata: "note",
      logStartOffset: 3,
      logEndOffset: 10,
      lagRecords: 4,
    },
    { partition: 1, committedOffset: 10, lagRecords: 0, lagMs: null, error: null },
  ]);
  const age = Date.now() - (start + 6_000);
  expect(described.lagMs).toBeGreaterThan(age - 10_000);
  expect(described.lagMs).toBeLessThanOrEqual(age);
  expect(await client.groups.offsets(group)).toMatchObject([
    { topic, partition: 0, offset: 6, leaderEpoch: 0, metadata: "note" },
    { topic, partition: 1, offset: 10, leaderEpoch: -1, metadata: "" },
  ]);
  await client.groups.deleteOffsets(group, topic, { partition: 0 });
  expect(await client.groups.offsets(group)).toMatchObject([{ partition: 1 }]);
  await client.groups.delete(group);
  const calls = [
    () => client.groups.describe(group),
    () => client.groups.offsets(group),
    () => client.groups.delete(group),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "GROUP_ID_NOT_FOUND" });
});

test("a large group is described over several pages, or in part, and says so", async () => {
  const topic = await cluster.newTopic(2_500);
  const group = newGroup();
  const { groups } = cluster.client();
  await groups.setOffsets(
    group,
    Array.from({ length: 2_500 }, (_, partition) => ({ topic, partition, offset: 0 })),
  );
  const whole = await groups.describe(group);
  expect(whole).toMatchObject({ isPartial: false, lagRecords: 0 });
  expect(whole.partitions.map(({ partition }) => partition)).toEqual([...Array(2_500).keys()]);
  const part = await groups.describe(group, { maxPartitions: 1_001 });
  expect(part.isPartial).toBe(true);
  expect(part.partitions).toHaveLength(1_001);
  expect((await groups.describe(group, { maxPartitions: 0 })).partitions).toEqual([]);
  expect(await groups.offsets(group)).toHaveLength(2_500);
});

test("a reset moves a group by Kafka's rules, and not beyond what the log has", async () => {
  const start = Date.now() - 60_000;
  const topic = await newLog(start);
  const { groups } = cluster.client();
  const resets: [to: ResetTo, offsets: number[], outOfRange?: (number | null)[]][] = [
    ["earliest", [3, 3]],
    ["latest", [10, 10]],
    ["current", [6, 10]],
    [{ offset: 5 }, [5, 5]],
    [{ offset: 1 }, [3, 3], [1, 1]],
    [{ offset: 99 }, [10, 10], [99, 99]],
    [{ shiftBy: 2 }, [8, 10], [null, 12]],
    [{ shiftBy: -5 }, [3, 5], [1, null]],
    [{ timestamp: start + 6_500 }, [7, 7]],
    [{ timestamp: Date.now() + 60_000 }, [10, 10]],
    [{ timestamp: 0 }, [3, 3]],
  ];
  for (const [to, offsets, outOfRange = [null, null]] of resets) {
    const group = newGroup();
    await groups.setOffsets(group, [
      { topic, partition: 0, offset: 6 },
      { topic, partition: 1, offset: 10 },
    ]);
    const expected = [0, 1].map((partition) => ({
      ...{ topic, partition, previousOffset: [6, 10][partition], offset: offsets[partition] },
      outOfRange: outOfRange[partition],
    }));
    const stored = async () => (await groups.offsets(group)).map(({ offset }) => offset);
    expect(await groups.resetOffsets(group, { to, dryRun: true })).toEqual(expected);
    expect(await stored()).toEqual([6, 10]);
    expect(await groups.resetOffsets(group, { to })).toEqual(expected);
    expect(await stored()).toEqual(offsets);
  }
});

test("a reset takes the topics and partitions that are named, and makes a group that is not there", async () => {
  const topic = await newLog(Date.now());
  const other = await newLog(Date.now());
  const group = newGroup();
  const { groups } = cluster.client();
  const moved = { previousOffset: null, offset: 10, outOfRange: null };
  const topics = [topic, { topic: other, partitions: [1] }];
  expect(await groups.resetOffsets(group, { to: "current", topics })).toEqual([
    { topic, partition: 0, ...moved },
    { topic, partition: 1, ...moved },
    { topic: other, partition: 1, ...moved },
  ]);
  await expect(
    groups.resetOffsets(group, { to: { shiftBy: 1 }, topics: [{ topic: other, partitions: [0] }] }),
  ).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  for (const unknown of ["unknown", { topic, partitions: [7] }]) {
    await expect(groups.resetOffsets(group, { to: "latest", topics: [unknown] })).rejects.toMatchObject({
      code: "UNKNOWN_TOPIC_OR_PARTITION",
    });
  }
  expect(await groups.offsets(group)).toHaveLength(3);
});

test("a deletion whose answer was lost is found made, not refused", async () => {
  const topic = await cluster.newTopic();
  const group = newGroup();
  const { groups } = cluster.client({ url: cluster.proxy.url, retryBackoffMs: 10 });
  await groups.setOffsets(group, [{ topic, partition: 0, offset: 0 }]);
  let losses = 1;
  cluster.proxy.fault = (text) => (text.startsWith("DELETE") && losses-- > 0 ? "drop answer" : undefined);
  await groups.delete(group);
  await expect(groups.describe(group)).rejects.toMatchObject({ code: "GROUP_ID_NOT_FOUND" });
});
