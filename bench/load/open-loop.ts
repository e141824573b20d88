import { setTimeout as delay } from "node:timers/promises";
import { Latencies } from "../harness/latencies.ts";
import type { Log } from "./system.ts";
import { printable } from "./values.ts";

export interface OpenLoop {
  readonly perSecond: number;
  readonly valueBytes: number;
  /** What has become due is sent every so often, as one batch. */
  readonly lingerMs: number;
  /** Not counted. */
  readonly warmUpMs: number;
  readonly ms: number;
}

export interface EndToEnd {
  readonly latencies: Latencies;
  /** Of the records that were due, how many a second came out at the other end. */
  readonly perSecond: number;
}

/** Beyond the time in which records become due; what has not come by then counts as having come at the end. */
const DRAIN_MS_MAX = 5_000;
const TIME_BYTES = 8;

/**
 * Records become due at fixed times, whatever happens to those before them; each one's latency counts from when it was
 * due until the consumer has it. So a system that stalls pays for all records that were due meanwhile.
 */
export async function openLoop(log: Log, how: OpenLoop): Promise<EndToEnd> {
  const { perSecond, valueBytes, lingerMs, warmUpMs, ms } = how;
  const consumer = await log.openConsumer();
  const producer = await log.openProducer();
  const intervalMs = 1_000 / perSecond;
  const total = Math.floor(((warmUpMs + ms) * perSecond) / 1_000);
  const latencies = new Latencies();
  const template = printable(valueBytes, 1);
  const beginMs = performance.now() + 10;
  const countsFromMs = beginMs + warmUpMs;
  let received = 0;
  let lastMs = beginMs;
  const { promise: isDrained, resolve: drained } = Promise.withResolvers<void>();

  const consuming = (async () => {
    while (received < total) {
      const batch = await consumer.next();
      lastMs = performance.now();
      for (const value of batch.values()) {
        const dueMs = new DataView(value.buffer, value.byteOffset).getFloat64(0);
        if (dueMs >= countsFromMs) latencies.add(lastMs - dueMs);
      }
      received += batch.records;
    }
    drained();
  })().catch(() => undefined);

  let sent = 0;
  const sending: Promise<void>[] = [];
  while (sent < total) {
    const due = Math.min(total, Math.floor((performance.now() - beginMs) / intervalMs));
    if (due > sent) {
      const values = Array.from({ length: due - sent }, (_, index) => {
        const value = template.slice();
        new DataView(value.buffer).setFloat64(0, beginMs + (sent + index) * intervalMs);
        return value;
      });
      sent = due;
      sending.push(producer.send(producer.prepare(values)).catch(() => undefined));
    }
    await delay(lingerMs);
  }
  await Promise.race([isDrained, delay(DRAIN_MS_MAX)]);
  if (received < total) {
    lastMs = performance.now();
    for (let index = received; index < total; index++) {
      const dueMs = beginMs + index * intervalMs;
      if (dueMs >= countsFromMs) latencies.add(lastMs - dueMs);
    }
  }
  const achieved = (received * 1_000) / (lastMs - beginMs);
  consumer.close();
  producer.close();
  void consuming;
  if (valueBytes < TIME_BYTES) throw new Error("a value must have room for its time");
  return { latencies, perSecond: achieved };
}
