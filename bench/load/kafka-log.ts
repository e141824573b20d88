import { decodeBatches, encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders } from "../../src/log/batch-header.ts";
import { tcpChannel } from "./channel.ts";
import { KafkaClient } from "./kafka.ts";
import type { Consumer, Log, Producer, Received } from "./system.ts";

/** A batch's base offset and length, which its length does not count. */
const LOG_OVERHEAD_BYTES = 12;

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
        const bytes = wholeBatches((await client.fetch(topic, 0, offset)).records);
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

/** Kafka cuts an answer off where its size is reached, even within a batch. */
function wholeBatches(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = 0;
  while (end + LOG_OVERHEAD_BYTES <= bytes.length) {
    const next = end + LOG_OVERHEAD_BYTES + view.getInt32(end + 8);
    if (next > bytes.length) break;
    end = next;
  }
  return bytes.subarray(0, end);
}

function* valuesIn(batches: Uint8Array): Generator<Uint8Array> {
  for (const { value } of decodeBatches(batches)) if (value !== null) yield value;
}
