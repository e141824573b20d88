import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { Cluster } from "../../src/cluster/cluster.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders } from "../../src/log/batch-header.ts";
import { COMPRESSION_NAMES } from "../../src/log/compression.ts";
import { ok, refused } from "./results.ts";
import {
  batchOf,
  controllerStub,
  createTopic,
  leaderStub,
  readAll,
  uniqueName,
  valuesIn,
} from "./support.ts";

describe("appending and reading", () => {
  test("finds the partition by the topic's name or id", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic({}, 3);
    expect(ok(await cluster.append(topic.name, 2, batchOf(["a", "b"])))).toMatchObject({ baseOffset: 0 });
    expect(ok(await cluster.append({ id: topic.id }, 2, batchOf(["c"])))).toMatchObject({ baseOffset: 2 });
    expect(await readAll(cluster, topic.name, 2)).toEqual(["a", "b", "c"]);
    expect(await readAll(cluster, topic, 0)).toEqual([]);
    expect(await controllerStub().openedPartitions(topic.id, -1, 10)).toEqual([2]);
  });

  test("appends that are made in a row are stored in that order", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    const values = Array.from({ length: 200 }, (_, i) => `v${i}`);
    await Promise.all(values.map((value) => cluster.append(name, 0, batchOf([value]))));
    expect(await readAll(cluster, name)).toEqual(values);
  });

  test("a batch that waits for its topic to be looked up is not overtaken when another request learns the topic first", async () => {
    const { name } = await createTopic();
    const slow = slowController();
    const cluster = new Cluster({ ...env, CONTROLLER: slow.namespace });
    const first = cluster.append(name, 0, batchOf(["first"]));
    ok(await new Cluster(env).topic(name));
    const second = cluster.append(name, 0, batchOf(["second"]));
    const read = cluster.read(name, 0, { offset: 0, maxBytes: 1 });
    slow.answer();
    ok(await second);
    ok(await first);
    ok(await read);
    expect(await readAll(cluster, name)).toEqual(["first", "second"]);
  });

  test("a batch that is a view of a larger buffer is sent alone", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    const batch = batchOf(["a"]);
    const buffer = new Uint8Array(batch.length + 100);
    buffer.set(batch, 50);
    ok(await cluster.append(name, 0, buffer.subarray(50, 50 + batch.length)));
    expect(await readAll(cluster, name)).toEqual(["a"]);
  });

  test.each([1, 2, -1, 0.5, 2 ** 31, Number.NaN])("partition %d of one is refused", async (partition) => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    for (const result of [
      await cluster.append(name, partition, batchOf(["a"])),
      await cluster.read(name, partition, { offset: 0, maxBytes: 1 }),
      await cluster.listOffsets(name, partition, -1),
      await cluster.describePartition(name, partition),
    ]) {
      expect(refused(result).error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    }
  });

  test("beyond the log end is refused with the bounds", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    ok(await cluster.append(name, 0, batchOf(["a"])));
    expect(await cluster.read(name, 0, { offset: 2, maxBytes: 1 })).toMatchObject({
      error: "OFFSET_OUT_OF_RANGE",
      logStartOffset: 0,
      highWatermark: 1,
    });
  });

  test("with another leader epoch than the partition's is refused", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    ok(await cluster.append(name, 0, batchOf(["a"]), { leaderEpoch: 0 }));
    expect(refused(await cluster.append(name, 0, batchOf(["a"]), { leaderEpoch: 1 })).error).toBe(
      "UNKNOWN_LEADER_EPOCH",
    );
    expect(await cluster.offsetForLeaderEpoch(name, 0, 0)).toEqual({ epoch: 0, endOffset: 1 });
  });

  test("deleted records are gone, and the description says where the log begins", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    ok(await cluster.append(name, 0, batchOf(["a", "b", "c"])));
    expect(await cluster.deleteRecords(name, 0, 2)).toEqual({ logStartOffset: 2 });
    expect(await cluster.describePartition(name, 0)).toMatchObject({ logStartOffset: 2, highWatermark: 3 });
    expect(refused(await cluster.read(name, 0, { offset: 1, maxBytes: 1 })).error).toBe(
      "OFFSET_OUT_OF_RANGE",
    );
    expect(await cluster.listOffsets(name, 0, -2)).toMatchObject({ offset: 2 });
  });
});

describe("an unknown topic", () => {
  test("is refused", async () => {
    const cluster = new Cluster(env);
    expect(refused(await cluster.append(uniqueName(), 0, batchOf(["a"]))).error).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
    expect(refused(await cluster.read({ id: "A".repeat(22) }, 0, { offset: 0, maxBytes: 1 })).error).toBe(
      "UNKNOWN_TOPIC_ID",
    );
  });

  test("is created by the first append that may, once, however many come at once", async () => {
    const name = uniqueName();
    const results = await Promise.all(
      Array.from({ length: 8 }, () => new Cluster(env).append(name, 0, batchOf(["a"]), { autoCreate: true })),
    );
    const offsets = results.map((result) => ok(result).baseOffset).sort((a, b) => a - b);
    expect(offsets).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("is not created where the deployment says no", async () => {
    const cluster = new Cluster({ ...env, EDGELOG_AUTO_CREATE_TOPICS: "false" });
    const result = await cluster.append(uniqueName(), 0, batchOf(["a"]), { autoCreate: true });
    expect(refused(result).error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });

  test("with an illegal name is not created", async () => {
    const cluster = new Cluster(env);
    const result = await cluster.append("no/such", 0, batchOf(["a"]), { autoCreate: true });
    expect(refused(result).error).toBe("INVALID_TOPIC_EXCEPTION");
  });
});

describe("a topic's compression.type", () => {
  test.each(["uncompressed", "gzip", "snappy", "lz4", "zstd"])(
    "%s is what its batches are stored in",
    async (type) => {
      const cluster = new Cluster(env);
      const { name } = await createTopic({ "compression.type": type });
      const sent: string[] = [];
      for (const compression of COMPRESSION_NAMES) {
        const value = `${compression} `.repeat(300);
        sent.push(value);
        const records = [{ timestamp: Date.now(), key: null, value: new TextEncoder().encode(value) }];
        ok(await cluster.append(name, 0, encodeBatch(records, { compression })));
      }
      const { batches } = ok(await cluster.read(name, 0, { offset: 0, maxBytes: 1_000_000 }));
      const codecs = [...batchHeaders(batches)].map(({ header }) => COMPRESSION_NAMES[header.compression]);
      expect(new Set(codecs)).toEqual(new Set([type === "uncompressed" ? "none" : type]));
      expect(valuesIn(batches)).toEqual(sent);
    },
  );

  test("does not make a damaged batch a good one", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic({ "compression.type": "gzip" });
    const damaged = batchOf(["a"]);
    damaged[damaged.length - 2] = 0x7f;
    expect(refused(await cluster.append(name, 0, damaged)).error).toBe("CORRUPT_MESSAGE");
    expect(await readAll(cluster, name)).toEqual([]);
  });
});

describe("metadata that has become old", () => {
  test("does not hide partitions that were added elsewhere", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.topic(topic.name));
    ok(await controllerStub().createPartitions(topic.name, 2));
    ok(await cluster.append(topic.name, 1, batchOf(["a"])));
    expect(await readAll(cluster, topic.name, 1)).toEqual(["a"]);
  });

  test("sends an append by name to the topic that was recreated elsewhere, one by id to none", async () => {
    const cluster = new Cluster(env);
    const old = await createTopic();
    ok(await cluster.topic(old.name));
    ok(await controllerStub().deleteTopic(old.name));
    const recreated = ok(await controllerStub().createTopic({ name: old.name }));
    expect(refused(await cluster.append(old, 0, batchOf(["by id"]))).error).toBe("UNKNOWN_TOPIC_ID");
    ok(await cluster.append(old.name, 0, batchOf(["by name"])));
    expect(await readAll(cluster, recreated)).toEqual(["by name"]);
  });

  test("of a topic that was deleted elsewhere is forgotten", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.topic(topic.name));
    ok(await controllerStub().deleteTopic(topic.name));
    expect(refused(await cluster.append(topic.name, 0, batchOf(["a"]))).error).toBe(
      "UNKNOWN_TOPIC_OR_PARTITION",
    );
    expect(refused(await cluster.topic(topic.name)).error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });

  test("is not kept of what this isolate changed itself", async () => {
    const cluster = new Cluster(env);
    const { name } = ok(await cluster.controller.createTopic({ name: uniqueName() }));
    ok(await cluster.controller.alterTopicConfigs(name, { "retention.ms": "5000" }));
    expect(ok(await cluster.topic(name)).configs).toEqual({ "retention.ms": "5000" });
    ok(await cluster.controller.createPartitions(name, 3));
    expect(ok(await cluster.topic(name)).partitions).toBe(3);
    ok(await cluster.controller.alterTopicConfigs(name, { "retention.ms": "6000" }, true));
    expect(ok(await cluster.topic(name)).configs).toEqual({ "retention.ms": "5000" });
    ok(await cluster.controller.deleteTopic(name));
    expect(refused(await cluster.topic(name)).error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });
});

describe("finding offsets", () => {
  test("by time gives the first record that is at least so young, and its time", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    const start = Date.now();
    for (const [i, value] of ["a", "b", "c", "d"].entries()) {
      ok(await cluster.append(name, 0, batchOf([value, value], start + 10 * i)));
    }
    expect(await cluster.listOffsets(name, 0, start + 11)).toEqual({
      offset: 4,
      timestamp: start + 20,
      leaderEpoch: 0,
    });
    expect(await cluster.listOffsets(name, 0, start - 5)).toMatchObject({ offset: 0, timestamp: start });
    expect(await cluster.listOffsets(name, 0, start + 31)).toMatchObject({ offset: -1, timestamp: -1 });
  });

  test("gives the ends of the log and its youngest record", async () => {
    const cluster = new Cluster(env);
    const { name } = await createTopic();
    const now = Date.now();
    ok(await cluster.append(name, 0, batchOf(["a"], now)));
    ok(await cluster.append(name, 0, batchOf(["b"], now + 5)));
    ok(await cluster.append(name, 0, batchOf(["c"], now + 1)));
    expect(await cluster.listOffsets(name, 0, -1)).toMatchObject({ offset: 3 });
    expect(await cluster.listOffsets(name, 0, -2)).toMatchObject({ offset: 0 });
    expect(await cluster.listOffsets(name, 0, -3)).toMatchObject({ offset: 1, timestamp: now + 5 });
  });
});

describe("a leader that fails", () => {
  test("does not break the cluster for the calls that follow", async () => {
    const cluster = new Cluster(env);
    const topic = await createTopic();
    ok(await cluster.append(topic.name, 0, batchOf(["a"])));
    await evictDurableObject(leaderStub(topic));
    expect(await readAll(cluster, topic.name)).toEqual(["a"]);
    await abortAllDurableObjects();
    expect(await readAll(cluster, topic.name)).toEqual(["a"]);
    await abortAllDurableObjects();
    const result = await cluster.append(topic.name, 0, batchOf(["b"]));
    // Whether the platform found the breach before or after the call is not ours to decide.
    if ("error" in result) expect(result.error).toBe("REQUEST_TIMED_OUT");
    ok(await cluster.append(topic.name, 0, batchOf(["c"])));
    expect((await readAll(cluster, topic.name)).at(-1)).toBe("c");
  });

  test.each([
    [{ overloaded: true }, "THROTTLING_QUOTA_EXCEEDED", 1],
    [{ retryable: true }, "REQUEST_TIMED_OUT", 1],
    [{}, "REQUEST_TIMED_OUT", 1],
  ])("with an exception %j makes an append end in %s, after one call", async (properties, error, calls) => {
    const { name } = await createTopic();
    const broken = breakingNamespace(properties, Number.POSITIVE_INFINITY);
    const cluster = new Cluster({ ...env, PARTITION: broken.namespace });
    expect(refused(await cluster.append(name, 0, batchOf(["a"]))).error).toBe(error);
    expect(broken.stubs()).toBe(calls);
  });

  test("once is asked again by a read, with a new stub", async () => {
    const topic = await createTopic();
    ok(await new Cluster(env).append(topic.name, 0, batchOf(["a"])));
    const broken = breakingNamespace({}, 1);
    const cluster = new Cluster({ ...env, PARTITION: broken.namespace });
    expect(valuesIn(ok(await cluster.read(topic.name, 0, { offset: 0, maxBytes: 1 })).batches)).toEqual([
      "a",
    ]);
    expect(broken.stubs()).toBe(2);
  });

  test("twice makes a read end in a failure that may be retried", async () => {
    const { name } = await createTopic();
    const broken = breakingNamespace({}, 2);
    const cluster = new Cluster({ ...env, PARTITION: broken.namespace });
    expect(refused(await cluster.read(name, 0, { offset: 0, maxBytes: 1 })).error).toBe(
      "KAFKA_STORAGE_ERROR",
    );
    ok(await cluster.read(name, 0, { offset: 0, maxBytes: 1 }));
  });
});

describe("producer ids", () => {
  test("are given to nobody twice", async () => {
    const ids = await Promise.all(Array.from({ length: 2_500 }, () => new Cluster(env).allocateProducerId()));
    expect(new Set(ids).size).toBe(ids.length);
  });
});

/** The Controller's namespace; what it says of topics arrives when the test says so. */
function slowController() {
  const { promise, resolve: answer } = Promise.withResolvers<void>();
  const namespace = new Proxy(env.CONTROLLER, {
    get(target, name) {
      if (name !== "get") return Reflect.get(target, name).bind(target);
      return (id: DurableObjectId) => {
        const stub = target.get(id);
        const topic = async (topicName: string) => {
          const found = await stub.topic(topicName);
          await promise;
          return found;
        };
        return new Proxy(stub, {
          get: (of, method) => (method === "topic" ? topic : Reflect.get(of, method)),
        });
      };
    },
  });
  return { namespace, answer };
}

/** The partitions' namespace, of which the first stubs throw exceptions with these properties. */
function breakingNamespace(properties: object, brokenStubs: number) {
  let stubs = 0;
  const namespace = new Proxy(env.PARTITION, {
    get(target, name) {
      if (name !== "get") return Reflect.get(target, name).bind(target);
      return (id: DurableObjectId) => {
        stubs += 1;
        const stub = target.get(id);
        if (stubs > brokenStubs) return stub;
        const fail = () => Promise.reject(Object.assign(new Error("broken by the test"), properties));
        return new Proxy(stub, { get: () => fail });
      };
    },
  });
  return { namespace, stubs: () => stubs };
}
