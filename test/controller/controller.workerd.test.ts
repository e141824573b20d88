import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { CONTROLLER_NAME } from "../../durable-objects/controller/rpc.ts";
import { isTopicId } from "../../src/model/ids.ts";
import { ok, refused } from "../cluster/results.ts";

/** A Controller of the test's own. */
function newController() {
  return env.CONTROLLER.get(env.CONTROLLER.idFromName(`test-${crypto.randomUUID()}`));
}

describe("creating a topic", () => {
  test("answers with an id, a version and what was asked for", async () => {
    const controller = newController();
    const topic = ok(
      await controller.createTopic({ name: "flights", partitions: 4, configs: { "retention.ms": "1000" } }),
    );
    expect(isTopicId(topic.id)).toBe(true);
    expect(topic).toMatchObject({ name: "flights", partitions: 4, configs: { "retention.ms": "1000" } });
    expect(await controller.topic("flights")).toEqual(topic);
    expect(await controller.topicById(topic.id)).toEqual(topic);
  });

  test("with 1,000,000 partitions writes one row", async () => {
    const controller = newController();
    await controller.createTopic({ name: "small", partitions: 1 });
    const rows = (name: string, partitions: number) =>
      runInDurableObject(controller, async (object, { storage }) => {
        const tables = storage.sql
          .exec<{ name: string }>(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
          )
          .toArray();
        const count = () =>
          tables.reduce(
            (sum, table) =>
              sum + storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table.name}`).one().n,
            0,
          );
        const before = count();
        ok(await object.createTopic({ name, partitions }));
        return count() - before;
      });
    expect(await rows("huge", 1_000_000)).toBe(1);
    expect(ok(await controller.topic("huge")).partitions).toBe(1_000_000);
  });

  test("without a number of partitions takes the cluster's default", async () => {
    expect(ok(await newController().createTopic({ name: "plain" })).partitions).toBe(1);
  });

  test.each([
    ["", "INVALID_TOPIC_EXCEPTION"],
    ["..", "INVALID_TOPIC_EXCEPTION"],
    ["a/b", "INVALID_TOPIC_EXCEPTION"],
    ["x".repeat(250), "INVALID_TOPIC_EXCEPTION"],
    ["taken", "TOPIC_ALREADY_EXISTS"],
    ["metrics_by.host", "INVALID_TOPIC_EXCEPTION"],
  ])("named %j is refused with %s", async (name, error) => {
    const controller = newController();
    await controller.createTopic({ name: "taken" });
    await controller.createTopic({ name: "metrics.by_host" });
    expect(refused(await controller.createTopic({ name })).error).toBe(error);
    expect(await controller.listTopics({})).toHaveLength(2);
  });

  test.each([0, -1, 1.5, Number.NaN, 1_000_001, 2 ** 31])(
    "with %d partitions is refused",
    async (partitions) => {
      const result = await newController().createTopic({ name: "t", partitions });
      expect(refused(result).error).toBe("INVALID_PARTITIONS");
    },
  );

  test("with a config that is not honoured is refused with the reason", async () => {
    const result = await newController().createTopic({ name: "t", configs: { "cleanup.policy": "compact" } });
    expect(refused(result)).toMatchObject({
      error: "INVALID_CONFIG",
      message: expect.stringContaining("compaction"),
    });
  });

  test("in a jurisdiction that the platform does not know is refused", async () => {
    const result = await newController().createTopic({
      name: "t",
      configs: { "edgelog.jurisdiction": "eu" },
    });
    expect(refused(result)).toMatchObject({
      error: "INVALID_CONFIG",
      message: expect.stringContaining("this platform cannot"),
    });
  });

  test("that is only to be validated creates nothing", async () => {
    const controller = newController();
    const topic = ok(await controller.createTopic({ name: "t", partitions: 3, validateOnly: true }));
    expect(topic).toMatchObject({ name: "t", partitions: 3 });
    expect(refused(await controller.topic("t")).error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
  });
});

describe("listing topics", () => {
  test("goes by name, page after page", async () => {
    const controller = newController();
    for (const name of ["c", "a.1", "b", "a-1", "a"]) await controller.createTopic({ name });
    const first = await controller.listTopics({ limit: 3 });
    const rest = await controller.listTopics({ after: first.at(-1)?.name ?? "" });
    expect(first.map(({ name }) => name)).toEqual(["a", "a-1", "a.1"]);
    expect(rest.map(({ name }) => name)).toEqual(["b", "c"]);
    expect(await controller.listTopics({ limit: 0 })).toEqual([]);
  });
});

describe("altering a topic", () => {
  test("changes configs, takes them back to the default and raises the version", async () => {
    const controller = newController();
    const topic = ok(
      await controller.createTopic({ name: "t", configs: { "retention.ms": "1", "segment.ms": "2" } }),
    );
    const altered = ok(
      await controller.alterTopicConfigs("t", { "retention.ms": null, "segment.bytes": "100" }),
    );
    expect(altered.configs).toEqual({ "segment.ms": "2", "segment.bytes": "100" });
    expect(altered.version).toBeGreaterThan(topic.version);
    expect(await controller.topic("t")).toEqual(altered);
  });

  test("to what it is already leaves the version", async () => {
    const controller = newController();
    const topic = ok(await controller.createTopic({ name: "t", configs: { "retention.ms": "1" } }));
    expect(await controller.alterTopicConfigs("t", { "retention.ms": "1", "segment.ms": null })).toEqual(
      topic,
    );
  });

  test.each([
    [{ "retention.ms": "soon" }],
    [{ "no.such.config": null }],
    [{ "retention.ms": "5", "local.retention.ms": "6" }],
    [{ "edgelog.jurisdiction": "eu" }],
  ])("by %j is refused and changes nothing", async (changes) => {
    const controller = newController();
    const topic = ok(await controller.createTopic({ name: "t" }));
    expect(refused(await controller.alterTopicConfigs("t", changes)).error).toBe("INVALID_CONFIG");
    expect(await controller.topic("t")).toEqual(topic);
  });

  test("only to validate it changes nothing", async () => {
    const controller = newController();
    const topic = ok(await controller.createTopic({ name: "t" }));
    ok(await controller.alterTopicConfigs("t", { "retention.ms": "5" }, true));
    ok(await controller.createPartitions("t", 5, true));
    expect(await controller.topic("t")).toEqual(topic);
  });

  test("adds partitions and never takes any away", async () => {
    const controller = newController();
    ok(await controller.createTopic({ name: "t", partitions: 3 }));
    expect(ok(await controller.createPartitions("t", 1_000_000))).toMatchObject({
      partitions: 1_000_000,
      version: 2,
    });
    for (const total of [1_000_000, 3, 0, 1_000_001]) {
      expect(refused(await controller.createPartitions("t", total)).error).toBe("INVALID_PARTITIONS");
    }
    expect(ok(await controller.topic("t")).partitions).toBe(1_000_000);
  });

  test("that does not exist is refused", async () => {
    const controller = newController();
    for (const result of [
      await controller.alterTopicConfigs("none", { "retention.ms": "5" }),
      await controller.createPartitions("none", 5),
      await controller.deleteTopic("none"),
    ]) {
      expect(refused(result).error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
    }
  });
});

describe("opening a partition", () => {
  test("records it once and answers with the topic", async () => {
    const controller = newController();
    const topic = ok(await controller.createTopic({ name: "t", partitions: 1_000_000 }));
    for (const partition of [999_999, 0, 7, 7]) {
      expect(await controller.openPartition({ topicId: topic.id, partition, placement: 0 })).toEqual(topic);
    }
    expect(await controller.openedPartitions(topic.id, -1, 10)).toEqual([0, 7, 999_999]);
    expect(await controller.openedPartitions(topic.id, 0, 1)).toEqual([7]);
  });

  test.each([
    ["beyond the count", { partition: 3, placement: 0 }],
    ["below zero", { partition: -1, placement: 0 }],
    ["at 2^31", { partition: 2 ** 31, placement: 0 }],
    ["at 2^32", { partition: 2 ** 32, placement: 0 }],
    ["between two", { partition: 0.5, placement: 0 }],
    ["of another placement", { partition: 0, placement: 1 }],
  ])("%s is refused and records nothing", async (_, at) => {
    const controller = newController();
    const { id: topicId } = ok(await controller.createTopic({ name: "t", partitions: 3 }));
    expect(refused(await controller.openPartition({ topicId, ...at })).error).toBe("UNKNOWN_TOPIC_ID");
    expect(await controller.openedPartitions(topicId, -1, 10)).toEqual([]);
  });

  test("of a deleted topic is refused, also when a topic of its name exists again", async () => {
    const controller = newController();
    const old = ok(await controller.createTopic({ name: "t" }));
    ok(await controller.openPartition({ topicId: old.id, partition: 0, placement: 0 }));
    expect(await controller.deleteTopic("t")).toEqual(old);
    const recreated = ok(await controller.createTopic({ name: "t" }));
    expect(recreated.id).not.toBe(old.id);
    expect(
      refused(await controller.openPartition({ topicId: old.id, partition: 0, placement: 0 })).error,
    ).toBe("UNKNOWN_TOPIC_ID");
    expect(refused(await controller.topicById(old.id)).error).toBe("UNKNOWN_TOPIC_ID");
    ok(await controller.openPartition({ topicId: recreated.id, partition: 0, placement: 0 }));
  });
});

describe("the cluster", () => {
  test("keeps its id, its topics and its producer ids when the object is evicted", async () => {
    const controller = newController();
    const { clusterId } = await controller.describeCluster();
    const topic = ok(await controller.createTopic({ name: "t", partitions: 2 }));
    ok(await controller.openPartition({ topicId: topic.id, partition: 1, placement: 0 }));
    const block = await controller.allocateProducerIds();
    await evictDurableObject(controller);
    expect(await controller.describeCluster()).toEqual({ clusterId, topics: 1, partitions: 2, groups: 0 });
    expect(isTopicId(clusterId)).toBe(true);
    expect(await controller.topic("t")).toEqual(topic);
    expect(await controller.openedPartitions(topic.id, -1, 10)).toEqual([1]);
    const next = await controller.allocateProducerIds();
    expect(next.first).toBe(block.first + block.count);
  });

  test("gives no producer id twice, however many ask at once", async () => {
    const controller = newController();
    const blocks = await Promise.all(Array.from({ length: 20 }, () => controller.allocateProducerIds()));
    const firsts = blocks.map(({ first }) => first).sort((a, b) => a - b);
    firsts.forEach((first, index) => {
      expect(first).toBe(index * (blocks[0]?.count ?? 0));
    });
  });

  test("has one Controller", () => {
    expect(env.CONTROLLER.idFromName(CONTROLLER_NAME).name).toBe("controller");
  });
});

describe("deleting a topic", () => {
  test("by its id never means another that has its name now", async () => {
    const controller = newController();
    const old = ok(await controller.createTopic({ name: "t" }));
    expect(ok(await controller.deleteTopic({ id: old.id })).name).toBe("t");
    const recreated = ok(await controller.createTopic({ name: "t" }));
    expect(refused(await controller.deleteTopic({ id: old.id })).error).toBe("UNKNOWN_TOPIC_ID");
    expect(ok(await controller.topic("t")).id).toBe(recreated.id);
  });

  test("that was never written to leaves nothing to do", async () => {
    const controller = newController();
    ok(await controller.createTopic({ name: "t", partitions: 1_000_000 }));
    ok(await controller.deleteTopic("t"));
    expect(await runDurableObjectAlarm(controller)).toBe(false);
    expect(await controller.describeCluster()).toMatchObject({ topics: 0 });
  });
});
