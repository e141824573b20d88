import { expect, it } from "vitest";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { fetchApi } from "../../src/kafka/messages/fetch.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

it("counts in /metrics what Kafka clients produce, fetch and ask", async () => {
  const platform = await startKafkaPlatform();
  try {
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    const client = await RawClient.connect(address);
    const topic = { name: "counted", numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    await client.ask(createTopicsApi, 7, { topics: [topic] });
    const record = { timestamp: Date.now(), key: null, value: Buffer.from("counted") };
    const records = encodeBatch([record, record, record]);
    const topicData = [{ name: topic.name, topicId: "", partitionData: [{ index: 0, records }] }];
    await client.ask(produceApi, 8, { acks: -1, timeoutMs: 30_000, topicData });
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }];
    const topics = [{ topic: topic.name, topicId: "", partitions }];
    await client.ask(fetchApi, 12, { maxWaitMs: 0, minBytes: 1, topics });
    client.close();
    const text = await (await fetch(`${platform.url}/metrics?groups=none`)).text();
    expect(samplesIn(text)).toMatchObject({
      edgelog_isolate_records_produced_total: 3,
      edgelog_isolate_produced_bytes_total: records.length,
      edgelog_isolate_fetched_bytes_total: records.length,
      'edgelog_isolate_kafka_requests_total api="Produce"': 1,
      'edgelog_isolate_kafka_requests_total api="Fetch"': 1,
    });
  } finally {
    await platform.stop();
  }
});

/** Of the only isolate, by name and the labels besides its own. */
function samplesIn(text: string): Record<string, number> {
  const samples = text.matchAll(/^(edgelog_isolate_\w+)\{isolate_id="[^"]+"(?:,([^}]+))?\} (\d+)$/gm);
  return Object.fromEntries(
    [...samples].map(([, name, labels, value]) => [[name, labels].filter(Boolean).join(" "), Number(value)]),
  );
}
