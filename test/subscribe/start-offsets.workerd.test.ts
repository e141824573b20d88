import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { startOffsets } from "../../src/subscribe/start-offsets.ts";
import { ok } from "../cluster/results.ts";
import { batchOf, createTopic } from "../cluster/support.ts";

test("a subscription from a time that no record has begins with the record that comes while that is found out", async () => {
  const topic = await createTopic();
  const start = Date.now();
  const cluster = new Cluster(env);
  ok(await cluster.append(topic, 0, batchOf(["before"], start)));
  const busy = appendsAfterLookUps(cluster, () => cluster.append(topic, 0, batchOf(["new"], start + 10)));
  const wanted = [{ partition: 0, timestamp: start + 10 }];
  const offsets = await startOffsets(busy, topic, wanted, "read_uncommitted", "unchecked");
  expect(offsets).toEqual([{ partition: 0, offset: 1, isLogStart: false }]);
});

/** The cluster, where something is appended right after each answer. */
function appendsAfterLookUps(cluster: Cluster, append: () => Promise<unknown>): Cluster {
  return new Proxy(cluster, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]) => {
        const result: unknown = await Reflect.apply(value, target, args);
        if (name === "listOffsets") await append();
        return result;
      };
    },
  });
}
