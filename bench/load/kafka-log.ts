import { decodeBatches, encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders } from "../../src/log/batch-header.ts";
import { tcpChannel } from "./channel.ts";
import { KafkaClient } from "./kafka.ts";
import type { Consumer, Log, Producer, Received } from "./system.ts";

let logs = 0;

/** A topic of one partition, of whoever speaks Kafka at this address. */
export async function newKafkaLog(
  address: string,
  configs: Readonly<Record<string, string>> = {},
): Promise<Log & { readonly topic: string }> {
  const open = async () => new KafkaClient(await tcpChannel(address));
  const admin = await open();
  const topic = `bench-${Date.now()}-${logs++}`;
  await admin.createTopic(topic, 1, configs);
  return {
    topic,
    openProducer: async () => producerOf(await open(), topic),
    openConsumer: async () => consumerOf(await open(), topic),
    async remove() {
      await admin.deleteTopic(topic);
      admin.close();
    },
  };
}

function producerOf(client: KafkaClient, topic: string): Producer {
  return {
    prepare(values) {
      const timestamp = Date.now();
      const batch = encodeBatch(values.map((value) => ({ timestamp, key: null, value })));
      return KafkaClient.produceFrame(topic, 0, batch);
    },
    async send(frame) {
      await client.produce(frame);
    },
    close: () => client.close(),
  };
}

function consumerOf(client: KafkaClient, topic: string): Consumer {
  let offset = 0;
  return {
    async next(): Promise<Received> {
      for (;;) {
        const { records: bytes } = await client.fetch(topic, 0, offset);
        let records = 0;
        for (const { header } of batchHeaders(bytes)) {
          records += header.recordsCount;
          offset = header.nextOffset;
        }
        if (records > 0) return { records, values: () => valuesIn(bytes) };
      }
    },
    close: () => client.close(),
  };
}

function* valuesIn(batches: Uint8Array): Generator<Uint8Array> {
  for (const { value } of decodeBatches(batches)) if (value !== null) yield value;
}
