import { expect, test } from "vitest";
import { TopicCache } from "../../src/cluster/topic-cache.ts";
import { METADATA_CACHE_MS, METADATA_CACHE_TOPICS_MAX } from "../../src/model/limits.ts";
import type { Topic } from "../../src/model/topic.ts";

function topic(name: string, id = `id of ${name}`, version = 1): Topic {
  return { id, name, version, partitions: 1, configs: {}, createdAtMs: 0, placements: {} };
}

test("a topic is known by name and id until its time is up", () => {
  let nowMs = 0;
  const cache = new TopicCache(() => nowMs);
  cache.learn(topic("t"));
  nowMs = METADATA_CACHE_MS - 1;
  expect(cache.byName("t")).toEqual(topic("t"));
  expect(cache.byId("id of t")).toEqual(topic("t"));
  nowMs = METADATA_CACHE_MS;
  expect(cache.byName("t")).toBeUndefined();
  expect(cache.byId("id of t")).toBeUndefined();
});

test("an answer that was overtaken by a newer one changes nothing", () => {
  const cache = new TopicCache();
  cache.learn(topic("t", "id", 2));
  cache.learn(topic("t", "id", 1));
  expect(cache.byName("t")?.version).toBe(2);
});

test("a recreated topic takes the name from the one before it, and forgetting that one leaves it", () => {
  const cache = new TopicCache();
  cache.learn(topic("t", "old", 7));
  cache.learn(topic("t", "new", 1));
  expect(cache.byName("t")?.id).toBe("new");
  cache.forget("old");
  expect(cache.byName("t")?.id).toBe("new");
  cache.forget("new");
  expect(cache.byName("t")).toBeUndefined();
});

test("no more topics are known than the limit says; the one learned first goes first", () => {
  const cache = new TopicCache();
  for (let i = 0; i <= METADATA_CACHE_TOPICS_MAX; i++) cache.learn(topic(`t${i}`));
  expect(cache.byName("t0")).toBeUndefined();
  expect(cache.byName("t1")).toBeDefined();
  expect(cache.byName(`t${METADATA_CACHE_TOPICS_MAX}`)).toBeDefined();
});
