import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { ok, refused } from "./results.ts";
import { batchOf, controllerStub, createTopic, readAll, valuesIn } from "./support.ts";

describe("a connection's session with a partition", () => {
  test("is one for all calls that follow one another closely", async () => {
    const { namespace, opened } = countingNamespace();
    const cluster = new Cluster({ ...env, PARTITION: namespace }, { keepsSessions: true });
    const { name } = await createTopic({}, 2);
    const values = Array.from({ length: 50 }, (_, i) => `v${i}`);
    await Promise.all(values.map((value) => cluster.append(name, 0, batchOf([value]))));
    await Promise.all(values.map((value) => cluster.append(name, 1, batchOf([value]))));
    expect(await readAll(cluster, name, 0)).toEqual(values);
    expect(await readAll(cluster, name, 1)).toEqual(values);
    expect(opened()).toBe(2);
    cluster.close();
  });

  test("keeps appends in order, whether they are made while it opens, when it has, or after it was let go", async () => {
    const cluster = new Cluster(env, { keepsSessions: true });
    const { name } = await createTopic();
    const appends: Promise<unknown>[] = [];
    const values: string[] = [];
    const append = () => {
      const value = `v${values.length}`;
      values.push(value);
      appends.push(cluster.append(name, 0, batchOf([value])).then(ok));
    };
    for (let round = 0; round < 40; round++) {
      for (let count = 0; count < 5; count++) append();
      // Other moments each time: a call takes a few of these steps.
      for (let steps = 0; steps < round; steps++) await Promise.resolve();
      append();
      if (round % 4 === 0) await appends[appends.length - 3];
      if (round % 10 === 9) {
        await Promise.all(appends);
        await vi.waitFor(() => expect(cluster.openSessions).toBe(0));
      }
    }
    await Promise.all(appends);
    expect(await readAll(cluster, name)).toEqual(values);
    cluster.close();
  });

  test("is not opened for a single call, let go when it is idle, and opened again when there is need", async () => {
    const { namespace, opened } = countingNamespace();
    const cluster = new Cluster({ ...env, PARTITION: namespace }, { keepsSessions: true });
    const { name } = await createTopic();
    ok(await cluster.append(name, 0, batchOf(["a"])));
    expect(opened()).toBe(0);
    await Promise.all(["b", "c"].map(async (value) => ok(await cluster.append(name, 0, batchOf([value])))));
    expect(cluster.openSessions).toBe(1);
    await vi.waitFor(() => expect(cluster.openSessions).toBe(0));
    await Promise.all(["d", "e"].map(async (value) => ok(await cluster.append(name, 0, batchOf([value])))));
    expect(opened()).toBe(2);
    cluster.close();
    expect(cluster.openSessions).toBe(0);
    expect(await readAll(cluster, name)).toEqual(["a", "b", "c", "d", "e"]);
    expect(cluster.openSessions).toBe(0);
  });

  test("that breaks makes a write end in a failure that may be retried, and a read be asked again", async () => {
    const cluster = new Cluster(env, { keepsSessions: true });
    const { name } = await createTopic();
    const open = async (value: string) => {
      await Promise.all([value, value].map(async () => ok(await cluster.append(name, 0, batchOf([value])))));
      expect(cluster.openSessions).toBe(1);
    };
    await open("a");
    await abortAllDurableObjects();
    expect(valuesIn(ok(await cluster.read(name, 0, { offset: 0, maxBytes: 1 })).batches)).toEqual(["a"]);
    await open("b");
    await abortAllDurableObjects();
    expect(refused(await cluster.append(name, 0, batchOf(["lost"]))).error).toBe("REQUEST_TIMED_OUT");
    await open("c");
    expect(await readAll(cluster, name)).toEqual(["a", "a", "b", "b", "c", "c"]);
    cluster.close();
  });

  test("does not outlive the topic: an append by name goes to the one that was recreated", async () => {
    const cluster = new Cluster(env, { keepsSessions: true });
    const old = await createTopic();
    await Promise.all(["a", "b"].map((value) => cluster.append(old.name, 0, batchOf([value]))));
    expect(cluster.openSessions).toBe(1);
    ok(await controllerStub().deleteTopic(old.name));
    await runDurableObjectAlarm(controllerStub());
    const recreated = ok(await controllerStub().createTopic({ name: old.name }));
    ok(await cluster.append(old.name, 0, batchOf(["c"])));
    expect(refused(await cluster.append(old, 0, batchOf(["d"]))).error).toBe("UNKNOWN_TOPIC_ID");
    expect(await readAll(cluster, recreated)).toEqual(["c"]);
    cluster.close();
  });
});

/** The partitions' namespace, which counts the sessions that are opened. */
function countingNamespace() {
  let opened = 0;
  const namespace = new Proxy(env.PARTITION, {
    get(target, name) {
      if (name !== "get") return Reflect.get(target, name).bind(target);
      return (id: DurableObjectId) => {
        const stub = target.get(id);
        const session = () => {
          opened += 1;
          return stub.session();
        };
        return new Proxy(stub, {
          get: (of, method) => (method === "session" ? session : Reflect.get(of, method)),
        });
      };
    },
  });
  return { namespace, opened: () => opened };
}
