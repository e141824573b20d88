import { expect, test, vi } from "vitest";
import { ControllerClient } from "../../src/cluster/controller-client.ts";
import { TopicCache } from "../../src/cluster/topic-cache.ts";
import type { Env } from "../../src/env.ts";
import { METADATA_CACHE_MS } from "../../src/model/limits.ts";
import type { Topic } from "../../src/model/topic.ts";

const TOPIC: Topic = {
  id: "id of t",
  name: "t",
  version: 1,
  partitions: 1,
  configs: {},
  createdAtMs: 0,
  placements: {},
};

/** Whoever deletes a topic counts on it: the answer may have left the Controller before the deletion. */
test("an answer about topics is believed from when they were asked for, however late it comes", async () => {
  vi.useFakeTimers();
  try {
    const cache = new TopicCache();
    const late = async () => {
      vi.advanceTimersByTime(METADATA_CACHE_MS - 1);
      return [TOPIC];
    };
    const namespace = { idFromName: () => ({}), get: () => ({ topicsNamed: late }) };
    const client = new ControllerClient(namespace as unknown as Env["CONTROLLER"], cache);
    await client.topicsNamed(["t"]);
    expect(cache.byName("t")).toEqual(TOPIC);
    vi.advanceTimersByTime(1);
    expect(cache.byName("t")).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});
