import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { deleteRecordsApi } from "../../src/kafka/messages/delete-records.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { TAIL_CACHE_BYTES_MAX } from "../../src/model/limits.ts";
import { HELD_PATH, type Held } from "./inspection.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

interface Wanted {
  readonly fetchOffset: number;
  readonly maxWaitMs?: number;
  readonly minBytes?: number;
  readonly maxBytes?: number;
}

describe("a Fetch", () => {
  let platform: KafkaPlatform;
  let consumer: RawClient;
  let producer: RawClient;
  beforeAll(async () => {
    const entry = fileURLToPath(new URL("./inspected-worker.ts", import.meta.url).href);
    platform = await startKafkaPlatform({ entry });
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    [consumer, producer] = await Promise.all([RawClient.connect(address), RawClient.connect(address)]);
  });
  afterAll(async () => {
    consumer.close();
    producer.close();
    await platform.stop();
  });

  it("reads nothing twice while it waits for min_bytes", async () => {
    const topic = "collected";
    const id = await createTopic(topic);
    const [batches, bytes] = [40, 10_000];
    const wanted = { fetchOffset: 0, maxWaitMs: 60_000, minBytes: batches * bytes };
    const asked = sendFetch(topic, wanted);
    for (let value = 0; value < batches; value++) {
      await produce(topic, String(value).padEnd(bytes));
      // The Fetch has taken it in before the next one comes.
      await expect.poll(async () => (await held(id)).readBytes).toBeGreaterThan((value + 1) * bytes);
    }
    const { records } = await fetched(asked);
    const values = [...decodeBatches(records ?? new Uint8Array())].map(({ value }) => Number(decoded(value)));
    expect(values).toEqual(Array.from({ length: batches }, (_, index) => index));
    expect((await held(id)).readBytes).toBe(records?.length);
  });

  it("answers with what it has when the next batch does not fit any more", async () => {
    const topic = "full";
    await createTopic(topic);
    const asked = sendFetch(topic, { fetchOffset: 0, maxWaitMs: 60_000, minBytes: 15_000, maxBytes: 15_000 });
    await produce(topic, "a".repeat(10_000));
    await produce(topic, "b".repeat(10_000));
    const { records, highWatermark } = await fetched(asked);
    expect([...decodeBatches(records ?? new Uint8Array())]).toHaveLength(1);
    expect(highWatermark).toBeGreaterThan(0);
  });

  it("goes on where a segment in R2 ends, without waiting", async () => {
    const topic = "tiered";
    await createTopic(topic, [
      { name: "segment.bytes", value: "20000" },
      { name: "local.retention.ms", value: "0" },
    ]);
    for (let value = 0; value < 9; value++) await produce(topic, String(value).padEnd(10_000));
    await expect.poll(() => remoteSegments(topic), { timeout: 20_000 }).toBeGreaterThan(2);
    // So much of another log that nothing of this one is left in the tail cache.
    await createTopic("evicting");
    for (let sent = 0; sent < TAIL_CACHE_BYTES_MAX; sent += 1_000_000)
      await produce("evicting", "x".repeat(1_000_000));
    const { records } = await fetched(
      sendFetch(topic, { fetchOffset: 0, maxWaitMs: 60_000, minBytes: 60_000 }),
    );
    expect([...decodeBatches(records ?? new Uint8Array())].length).toBeGreaterThan(5);
  }, 40_000);

  it("tells at the log's end where the log begins, after another client has deleted records", async () => {
    const topic = "trimmed";
    await createTopic(topic);
    for (const value of ["a", "b", "c"]) await produce(topic, value);
    const atEnd = async () =>
      (await fetched(sendFetch(topic, { fetchOffset: 3, maxWaitMs: 50 }))).logStartOffset;
    // The first has to ask, and opens the notice socket; the second is answered by what that has told.
    expect(await atEnd()).toBe(0);
    expect(await atEnd()).toBe(0);
    const partitions = [{ partitionIndex: 0, offset: 2 }];
    const deleted = await producer.ask(deleteRecordsApi, 2, {
      topics: [{ name: topic, partitions }],
      timeoutMs: 1_000,
    });
    expect(deleted.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 2 });
    await expect.poll(atEnd).toBe(2);
  });

  /** Returns its id. */
  async function createTopic(
    name: string,
    configs: { readonly name: string; readonly value: string }[] = [],
  ): Promise<string> {
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs };
    const { topics } = await producer.ask(createTopicsApi, 7, { topics: [topic] });
    expect(topics[0]?.errorCode).toBe(0);
    return topics[0]?.topicId ?? "";
  }

  async function produce(name: string, value: string): Promise<void> {
    const records = encodeBatch([{ timestamp: Date.now(), key: null, value: Buffer.from(value) }]);
    const topicData = [{ name, topicId: "", partitionData: [{ index: 0, records }] }];
    const { responses } = await producer.ask(produceApi, 8, { acks: -1, timeoutMs: 30_000, topicData });
    expect(responses[0]?.partitionResponses[0]?.errorCode).toBe(0);
  }

  /** Returns the correlation id. */
  function sendFetch(
    topic: string,
    { fetchOffset, maxWaitMs = 0, minBytes = 1, maxBytes = 8_000_000 }: Wanted,
  ): number {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 8_000_000 }];
    const topics = [{ topic, topicId: "", partitions }];
    return consumer.send(fetchApi, 12, { maxWaitMs, minBytes, maxBytes, topics });
  }

  async function fetched(correlationId: number) {
    const { responses } = await consumer.receive(fetchApi, 12, correlationId);
    const [partition] = responses[0]?.partitions ?? [];
    if (partition?.errorCode !== 0) throw new Error(`error ${partition?.errorCode}`);
    return partition;
  }

  async function remoteSegments(topic: string): Promise<number> {
    const answer = await fetch(`${platform.url}/v1/topics/${topic}/partitions/0`);
    const { remote_segments: remote }: { readonly remote_segments: number } = await answer.json();
    return remote;
  }

  async function held(id: string): Promise<Held> {
    return (await fetch(`${platform.url}${HELD_PATH}?object=${encodeURIComponent(`${id}/0/0`)}`)).json();
  }
});

function decoded(value: Uint8Array | null): string {
  return Buffer.from(value ?? []).toString();
}
