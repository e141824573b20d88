import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { surveyLag } from "../../src/cluster/lag-survey.ts";
import { ok } from "../cluster/results.ts";
import { joinRequest } from "../group/classic-requests.ts";
import { answer, newTopic, produce, refusal, request, send } from "./http.ts";

async function newGroup(name: string, ...offsets: object[]): Promise<string> {
  const group = `${name}-${crypto.randomUUID()}`;
  await answer(send("PUT", `/v1/groups/${encodeURIComponent(group)}/offsets`, { offsets }));
  return group;
}

/** Samples without comments: name{labels} → value. */
async function scrape(query = ""): Promise<Map<string, number>> {
  const response = await request(`/metrics${query}`);
  expect(response.status).toBe(200);
  const samples = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

test("metrics tell of every group its state, its members and how far it lags", async () => {
  const topic = await newTopic(3);
  const record = (partition: number, age: number) => ({ value: "v", partition, timestamp: Date.now() - age });
  await answer(produce(topic, { records: [record(0, 90_000), record(0, 90_000), record(1, 5_000)] }));
  const [behind, ahead, beyond] = [
    await newGroup("metrics", { topic, partition: 0, offset: 0 }, { topic, partition: 1, offset: 1 }),
    await newGroup("metrics", { topic, partition: 0, offset: 2 }),
    await newGroup("metrics", { topic, partition: 0, offset: 7 }),
  ];
  const samples = await scrape();
  const of = (name: string, labels: string) => samples.get(`edgelog_consumer_group_${name}{${labels}}`);
  const at = (group: string, partition: number) =>
    `group="${group}",topic="${topic}",partition="${partition}"`;
  expect(samples.get("edgelog_consumer_groups")).toBeGreaterThanOrEqual(2);
  expect(samples.get("edgelog_consumer_groups_left_out")).toBe(0);
  expect(of("state", `group="${behind}",type="classic",state="Empty"`)).toBe(1);
  expect(of("members", `group="${behind}"`)).toBe(0);
  expect(of("committed_offset", at(behind, 0))).toBe(0);
  expect(of("lag_records", at(behind, 0))).toBe(2);
  expect(of("lag_seconds", at(behind, 0))).toBeGreaterThanOrEqual(90);
  expect(of("lag_seconds", at(behind, 0))).toBeLessThan(120);
  expect([of("lag_records", at(behind, 1)), of("lag_seconds", at(behind, 1))]).toEqual([0, 0]);
  expect([of("lag_records", at(ahead, 0)), of("lag_seconds", at(ahead, 0))]).toEqual([0, 0]);
  expect([of("lag_records", at(beyond, 0)), of("lag_seconds", at(beyond, 0))]).toEqual([-5, 0]);
});

test("metrics tell of the groups that are named, or of none", async () => {
  const topic = await newTopic();
  const groups = [
    await newGroup("named", { topic, partition: 0, offset: 0 }),
    await newGroup("named", { topic, partition: 0, offset: 0 }),
  ];
  const other = await newGroup("other", { topic, partition: 0, offset: 0 });
  const text = [...(await scrape(`?group=${groups[0]}&group=${groups[1]}&group=unknown`)).keys()].join("\n");
  for (const group of groups) expect(text).toContain(`edgelog_consumer_group_members{group="${group}"}`);
  expect(text).not.toContain(other);
  expect(text).not.toContain("unknown");
  expect([...(await scrape(`?group=${other}`)).keys()].join("\n")).toContain(other);
  expect([...(await scrape("?groups=none")).keys()].join("\n")).not.toContain("edgelog_consumer_group_");
  expect(await refusal(request("/metrics?groups=some"), 400)).toBe("INVALID_REQUEST");
});

test("metrics count the members, and name groups whatever their ids are made of", async () => {
  const group = `quote" back\\slash\nline\ttab ü ${crypto.randomUUID()}`;
  ok(
    await env.GROUP.get(env.GROUP.idFromName(group)).joinGroup(joinRequest({ requiresKnownMemberId: false })),
  );
  const samples = await scrape(`?group=${encodeURIComponent(group)}`);
  const escaped = group.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n");
  expect(samples.get(`edgelog_consumer_group_members{group="${escaped}"}`)).toBe(1);
});

test("metrics leave out the offsets of a deleted topic, and the group forgets them", async () => {
  const topic = await newTopic();
  const kept = await newTopic();
  const group = await newGroup(
    "deleted",
    { topic, partition: 0, offset: 0 },
    { topic: kept, partition: 0, offset: 0 },
  );
  expect((await request(`/v1/topics/${topic}`, { method: "DELETE" })).status).toBe(204);
  const samples = await scrape(`?group=${group}`);
  expect(samples.get("edgelog_consumer_groups_left_out")).toBe(0);
  const text = [...samples.keys()].join("\n");
  expect(text).toContain(kept);
  expect(text).not.toContain(topic);
  const stored = ok(
    await env.GROUP.get(env.GROUP.idFromName(group)).offsetsPage({ limit: 10, asStored: true }),
  );
  expect(stored.offsets.map((offset) => offset.topic)).toEqual([kept]);
});

test("metrics count groups that have no time to answer as left out", async () => {
  const topic = await newTopic();
  const group = await newGroup("late", { topic, partition: 0, offset: 0 });
  const cluster = new Cluster(env);
  expect(await surveyLag(cluster, [group], Date.now() - 60_000)).toEqual({ groups: [], leftOut: 1 });
  const inTime = await surveyLag(cluster, [group, "unknown"]);
  expect(inTime).toMatchObject({ groups: [{ groupId: group, partitions: [{ topic }] }], leftOut: 0 });
});

test("metrics say that something is left out where groups have more partitions than a scrape tells of", async () => {
  const topic = await newTopic(10_000);
  const offsets = Array.from({ length: 10_000 }, (_, partition) => ({ topic, partition, offset: 0 }));
  const large = [await newGroup("a", ...offsets), await newGroup("b", ...offsets)];
  const query = large.map((group) => `group=${group}`).join("&");
  const whole = await scrape(`?${query}`);
  expect(whole.get("edgelog_consumer_groups_left_out")).toBe(0);
  const more = await newGroup("c", ...offsets.slice(0, 5_001));
  const small = await newGroup("d", { topic, partition: 0, offset: 0 });
  const samples = await scrape(`?${query}&group=${more}&group=${small}`);
  expect(samples.get("edgelog_consumer_groups_left_out")).toBe(2);
  expect(samples.get(`edgelog_consumer_group_members{group="${small}"}`)).toBe(0);
  const partitions = [...samples.keys()].filter((name) => name.includes("lag_records"));
  expect(partitions).toHaveLength(25_000);
});
