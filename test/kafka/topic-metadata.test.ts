import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { deleteTopicsApi } from "../../src/kafka/messages/delete-topics.ts";
import { describeTopicPartitionsApi } from "../../src/kafka/messages/describe-topic-partitions.ts";
import { metadataApi } from "../../src/kafka/messages/metadata.ts";
import { perPartition } from "../../src/kafka/per-partition.ts";
import { ZERO_UUID } from "../../src/kafka/schema.ts";
import { KAFKA_METADATA_PARTITIONS_MAX, KAFKA_PARTITIONS_AT_ONCE } from "../../src/model/limits.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const UNKNOWN_TOPIC_OR_PARTITION = 3;
const POLICY_VIOLATION = 44;
const UNKNOWN_TOPIC_ID = 100;

describe("what the cluster tells of topics", () => {
  let platform: KafkaPlatform;
  let client: RawClient;
  const ids = new Map<string, string>();
  beforeAll(async () => {
    platform = await startKafkaPlatform({ kafkaPorts: [0, 0, 0] });
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    client = await RawClient.connect(address);
    const sizes = { a: 3, b: 2, huge: KAFKA_METADATA_PARTITIONS_MAX + 1 };
    const topics = Object.entries(sizes).map(([name, numPartitions]) => ({
      name,
      numPartitions,
      replicationFactor: 3,
      assignments: [],
      configs: [],
    }));
    const created = await client.ask(createTopicsApi, 7, { topics });
    for (const { name, topicId } of created.topics) ids.set(name, topicId);
  });
  afterAll(async () => {
    client.close();
    await platform.stop();
  });

  it("is the same by name and by id, with the leaders spread over the brokers", async () => {
    const topicId = ids.get("a") ?? "";
    const byName = await client.ask(metadataApi, 12, { topics: [{ name: "a", topicId: ZERO_UUID }] });
    const byId = await client.ask(metadataApi, 12, { topics: [{ name: null, topicId }] });
    expect(byId).toEqual(byName);
    expect(byName.brokers.map(({ nodeId }) => nodeId)).toEqual([0, 1, 2]);
    expect(byName.topics[0]).toMatchObject({ errorCode: 0, name: "a", topicId });
    const partitions = byName.topics[0]?.partitions ?? [];
    expect(new Set(partitions.map(({ leaderId }) => leaderId))).toEqual(new Set([0, 1, 2]));
    for (const { leaderId, replicaNodes, isrNodes } of partitions) {
      expect(replicaNodes[0]).toBe(leaderId);
      expect(replicaNodes.toSorted()).toEqual([0, 1, 2]);
      expect(isrNodes).toEqual(replicaNodes);
    }
  });

  it("names what it does not find, in the words in which it was asked for", async () => {
    const topics = [
      { name: "nothing", topicId: ZERO_UUID },
      { name: null, topicId: "AAAAAAAAAAAAAAAAAAAABA" },
    ];
    const answer = await client.ask(metadataApi, 12, { topics, allowAutoTopicCreation: false });
    expect(answer.topics).toMatchObject([
      { errorCode: UNKNOWN_TOPIC_OR_PARTITION, name: "nothing", partitions: [] },
      { errorCode: UNKNOWN_TOPIC_ID, name: null, topicId: "AAAAAAAAAAAAAAAAAAAABA", partitions: [] },
    ]);
  });

  it("is refused of a topic with more partitions than an answer can hold, and told of the others", async () => {
    const { topics } = await client.ask(metadataApi, 12, { topics: null });
    expect(topics.map(({ name, errorCode, partitions }) => [name, errorCode, partitions.length])).toEqual([
      ["a", 0, 3],
      ["b", 0, 2],
      ["huge", POLICY_VIOLATION, 0],
    ]);
  });

  it("comes in pages from DescribeTopicPartitions, without gap or repeat", async () => {
    const seen: string[] = [];
    const topics = [{ name: "b" }, { name: "none" }, { name: "a" }];
    let cursor: { readonly topicName: string; readonly partitionIndex: number } | null = null;
    const next = (from: typeof cursor) =>
      client.ask(describeTopicPartitionsApi, 0, { topics, responsePartitionLimit: 2, cursor: from });
    for (;;) {
      const page: Awaited<ReturnType<typeof next>> = await next(cursor);
      for (const { name, errorCode, partitions } of page.topics) {
        if (errorCode !== 0) seen.push(`${name}: ${errorCode}`);
        for (const { partitionIndex } of partitions) seen.push(`${name}-${partitionIndex}`);
      }
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(["a-0", "a-1", "a-2", "b-0", "b-1", `none: ${UNKNOWN_TOPIC_OR_PARTITION}`]);
  });

  it("deletes a topic by its id, and says which it was", async () => {
    const topicId = ids.get("a") ?? "";
    const ask = async () =>
      (await client.ask(deleteTopicsApi, 6, { timeoutMs: 1_000, topics: [{ name: null, topicId }] }))
        .responses;
    expect(await ask()).toMatchObject([{ name: "a", topicId, errorCode: 0 }]);
    expect(await ask()).toMatchObject([{ name: null, topicId, errorCode: UNKNOWN_TOPIC_ID }]);
  });

  it("knows a deleted topic's id no more", async () => {
    const topicId = ids.get("b") ?? "";
    await client.ask(deleteTopicsApi, 6, { timeoutMs: 1_000, topics: [{ name: "b", topicId: ZERO_UUID }] });
    const { topics } = await client.ask(metadataApi, 12, { topics: [{ name: null, topicId }] });
    expect(topics[0]?.errorCode).toBe(UNKNOWN_TOPIC_ID);
  });
});

describe("work on the partitions of a request", () => {
  it("is bounded over all of its topics together, and its results are in the order of the request", async () => {
    let underWay = 0;
    let most = 0;
    const topics = Array.from({ length: 50 }, (_, topic) => ({
      topic,
      partitions: [0, 1, 2].slice(topic % 3),
    }));
    const results = await perPartition(
      topics,
      ({ partitions }) => partitions,
      async ({ topic }, partition) => {
        underWay++;
        most = Math.max(most, underWay);
        await Promise.resolve();
        underWay--;
        return `${topic}-${partition}`;
      },
    );
    expect(results).toEqual(
      topics.map(({ topic, partitions }) => partitions.map((one) => `${topic}-${one}`)),
    );
    expect(most).toBe(KAFKA_PARTITIONS_AT_ONCE);
  });
});
