import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { LogStore } from "../../durable-objects/partition/log-store.ts";
import { platformStorage } from "../../durable-objects/partition/platform-storage.ts";
import { uploadSegment } from "../../durable-objects/partition/segment-upload.ts";
import { SegmentIndex } from "../../src/tier/segment-index.ts";
import { appended, createTopic, leaderOf } from "./support.ts";

test("an upload ends though the object turns up during it and the bucket reads no further", async () => {
  const topic = await createTopic({ "segment.bytes": "1500000", "remote.storage.enable": "false" });
  for (let i = 0; i < 3; i++) await appended(topic, ["x".repeat(700_000)]);
  const key = `upload-${crypto.randomUUID()}`;
  await runInDurableObject(leaderOf(topic), async (_, state) => {
    const store = new LogStore(platformStorage(state));
    const [segment] = store.segmentsIn(1, 1);
    if (segment === undefined) throw new Error("no segment is sealed");
    const stored = new Uint8Array(segment.bytes);
    const index = await uploadSegment(bucketWhereItTurnsUp(key, stored), key, store, segment, 1);
    const second = new SegmentIndex(index, segment).spanOfOffset(1, 0);
    expect(second.position).toBeGreaterThan(700_000);
    expect(second.position + second.length).toBe(segment.bytes);
  });
});

/** The bucket, where another upload of the same object is faster than one that begins. */
function bucketWhereItTurnsUp(key: string, bytes: Uint8Array): R2Bucket {
  return new Proxy(env.SEGMENTS, {
    get(target, name) {
      if (name !== "put") return Reflect.get(target, name).bind(target);
      return async () => {
        await target.put(key, bytes);
        return null;
      };
    },
  });
}
