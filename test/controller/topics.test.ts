import { expect, test } from "vitest";
import { createTables } from "../../durable-objects/controller/storage.ts";
import { Topics } from "../../durable-objects/controller/topics.ts";
import { unwrap } from "../../src/model/errors.ts";
import { nodeStorage } from "./node-storage.ts";

function newTopics(): Topics {
  const storage = nodeStorage();
  createTables(storage);
  return new Topics(storage, { now: () => 1_000 });
}

test.each([[null], ["us"], [""]])(
  "a topic that was created in a jurisdiction is not taken out of it by %j",
  (jurisdiction) => {
    const topics = newTopics();
    const topic = unwrap(topics.create({ name: "t", configs: { "edgelog.jurisdiction": "eu" } }, 1));
    const altered = topics.alterConfigs("t", { "edgelog.jurisdiction": jurisdiction }, false);
    expect(altered).toMatchObject({ error: "INVALID_CONFIG" });
    expect(topics.byName("t")).toEqual(topic);
    expect(topics.alterConfigs("t", { "edgelog.jurisdiction": " eu " }, false)).toEqual(topic);
  },
);

test("configs are kept without the spaces around them", () => {
  const topics = newTopics();
  const topic = unwrap(topics.create({ name: "t", configs: { "retention.ms": " 5 " } }, 1));
  expect(topic.configs).toEqual({ "retention.ms": "5" });
  expect(unwrap(topics.alterConfigs("t", { "segment.ms": " 7" }, false)).configs).toEqual({
    "retention.ms": "5",
    "segment.ms": "7",
  });
});

test("a default number of partitions that is no number refuses topics that rely on it", () => {
  const topics = newTopics();
  expect(topics.create({ name: "t" }, Number("four"))).toMatchObject({ error: "INVALID_PARTITIONS" });
  expect(topics.create({ name: "t", partitions: 4 }, Number("four"))).toMatchObject({ partitions: 4 });
});
