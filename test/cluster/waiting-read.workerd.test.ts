import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import type { Topic } from "../../src/model/topic.ts";
import { ok, refused } from "./results.ts";
import {
  batchOf,
  controllerStub,
  createTopic,
  fillAndTier,
  leaderStub,
  TINY_SEGMENTS,
  valuesIn,
} from "./support.ts";

const LONG_MS = 20_000;
const WAIT = { offset: 0, maxBytes: 1_000_000, minBytes: 1, maxWaitMs: LONG_MS };

describe("a read that waits", () => {
  test("is answered at once where there is enough", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    expect(valuesIn(ok(await cluster.readWaiting(topic, 0, WAIT)).batches)).toEqual(["a"]);
  });

  test("at the log end is answered by the next append", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    const waiting = cluster.readWaiting(topic, 0, { ...WAIT, offset: 1 });
    await waitingSocket(topic);
    ok(await cluster.append(topic, 0, batchOf(["b"])));
    const answer = ok(await waiting);
    expect(valuesIn(answer.batches)).toEqual(["b"]);
    expect(answer.highWatermark).toBe(2);
  });

  test("of a partition that was never written to is answered by the first append", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    const waiting = cluster.readWaiting(topic, 0, WAIT);
    await waitingSocket(topic);
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    expect(valuesIn(ok(await waiting).batches)).toEqual(["a"]);
  });

  test("does not miss an append between its first read and its socket", async () => {
    const topic = await createTopic();
    let appended = false;
    const namespace = new Proxy(env.PARTITION, {
      get(target, name) {
        if (name !== "get") return Reflect.get(target, name).bind(target);
        return (id: DurableObjectId) => {
          const stub = target.get(id);
          return new Proxy(stub, {
            get(_, method) {
              if (method !== "fetch") return (request: never) => Reflect.get(stub, method)(request);
              return async (request: Request) => {
                ok(await new Cluster(env).append(topic, 0, batchOf(["in between"])));
                appended = true;
                return stub.fetch(request);
              };
            },
          });
        };
      },
    });
    const cluster = new Cluster({ ...env, PARTITION: namespace });
    expect(valuesIn(ok(await cluster.readWaiting(topic, 0, WAIT)).batches)).toEqual(["in between"]);
    expect(appended).toBe(true);
  });

  test("waits until min_bytes arrive, and reads nothing twice", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    const batch = batchOf(["x"]);
    const waiting = cluster.readWaiting(topic, 0, { ...WAIT, minBytes: 3 * batch.length });
    const state = vi.fn();
    void waiting.then(state);
    await waitingSocket(topic);
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    ok(await cluster.append(topic, 0, batchOf(["b"])));
    ok(await cluster.read(topic, 0, { offset: 0, maxBytes: 1 }));
    expect(state).not.toHaveBeenCalled();
    ok(await cluster.append(topic, 0, batchOf(["c"])));
    expect(valuesIn(ok(await waiting).batches)).toEqual(["a", "b", "c"]);
  });

  test("is answered with less when the time is up", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    const answer = ok(await cluster.readWaiting(topic, 0, { ...WAIT, minBytes: 1_000, maxWaitMs: 30 }));
    expect(valuesIn(answer.batches)).toEqual(["a"]);
    expect(
      ok(await cluster.readWaiting(topic, 0, { ...WAIT, offset: 1, maxWaitMs: 30 })).batches,
    ).toHaveLength(0);
    expect(
      ok(await cluster.readWaiting(topic, 0, { ...WAIT, offset: 1, maxWaitMs: 0 })).batches,
    ).toHaveLength(0);
  });

  test("is answered when its caller has gone", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    const caller = new AbortController();
    const waiting = cluster.readWaiting(topic, 0, { ...WAIT, signal: caller.signal });
    await waitingSocket(topic);
    caller.abort();
    expect(ok(await waiting).batches).toHaveLength(0);
  });

  test("closes its socket", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    const waiting = cluster.readWaiting(topic, 0, WAIT);
    await waitingSocket(topic);
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    ok(await waiting);
    await vi.waitFor(async () => expect(await openSockets(topic)).toBe(0));
  });

  test("goes on when the leader is evicted, or lost, in the meantime", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    const waiting = cluster.readWaiting(topic, 0, { ...WAIT, offset: 1 });
    await waitingSocket(topic);
    await evictDurableObject(leaderStub(topic));
    await abortAllDurableObjects();
    ok(await new Cluster(env).append(topic, 0, batchOf(["b"])));
    expect(valuesIn(ok(await waiting).batches)).toEqual(["b"]);
  });

  test("is answered at once with what R2 has: more lies behind it", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic(TINY_SEGMENTS);
    const [first] = await fillAndTier(topic, 12);
    const answer = ok(await cluster.readWaiting(topic, 0, { ...WAIT, maxBytes: 300, minBytes: 300 }));
    expect(valuesIn(answer.batches)).toEqual([first]);
  });

  test("does not wait for an offset that lies beyond the log end", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    expect(refused(await cluster.readWaiting(topic, 0, { ...WAIT, offset: 5 })).error).toBe(
      "OFFSET_OUT_OF_RANGE",
    );
  });

  test("ends when the topic is deleted", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.append(topic, 0, batchOf(["a"])));
    const waiting = cluster.readWaiting(topic, 0, { ...WAIT, offset: 1 });
    await waitingSocket(topic);
    ok(await controllerStub().deleteTopic(topic.name));
    expect(refused(await waiting).error).toBe("UNKNOWN_TOPIC_ID");
  });
});

async function openSockets(topic: Topic): Promise<number> {
  return runInDurableObject(leaderStub(topic), (_, state) => state.getWebSockets().length);
}

/** Until somebody waits behind a socket of the partition. */
async function waitingSocket(topic: Topic): Promise<void> {
  await vi.waitFor(async () => expect(await openSockets(topic)).toBeGreaterThan(0));
}
