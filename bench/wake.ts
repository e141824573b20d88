/**
 * How long a partition takes to wake and to append its first record, with 1 GB behind it and a full active segment,
 * against one with 1 MB behind it: `npx node bench/wake.ts [--megabytes 1024] [--times 20] [--json]`.
 *
 * The object is evicted from a running platform, so the figures are those of the object and not of a process that
 * starts; the two take turns, so that a busy machine slows both. A warm append stands beside them.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startPlatform } from "../src/cli/platform.ts";
import { encodeBatch } from "../src/log/batch.ts";
import { partitionObjectName } from "../src/model/ids.ts";

const MiB = 1024 * 1024;
const BATCH_TYPE = "application/vnd.kafka.recordbatch";
const WRITERS = 16;
/** The active segment is filled with small batches: waking reads their headers. */
const SMALL_BATCH_BYTES = 4_000;
const BAR = 1.5;

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "1024" },
    times: { type: "string", default: "20" },
    json: { type: "boolean", default: false },
  },
});
const bigBytes = Number(values.megabytes) * MiB;
const times = Number(values.times);

interface Subject {
  readonly topic: string;
  readonly object: string;
}

interface Comparison {
  readonly segmentBytes: number;
  readonly effectiveSegmentBytes: number;
  /** Medians in ms. */
  readonly bigMs: number;
  readonly smallMs: number;
  readonly warmMs: number;
  readonly ratio: number;
}

const dataDir = await mkdtemp(join(tmpdir(), "edgelog-wake-"));
const entry = fileURLToPath(new URL("./workers/evicting.ts", import.meta.url).href);
const { url, stop } = await startPlatform({ port: 0, dataDir, entry, quiet: true });
try {
  const comparisons: Comparison[] = [];
  for (const segmentBytes of [16 * MiB, 1024 * MiB]) comparisons.push(await compare(segmentBytes));
  if (values.json) console.log(JSON.stringify({ comparisons, bar: BAR }));
  else for (const comparison of comparisons) print(comparison);
} finally {
  await stop();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

async function compare(segmentBytes: number): Promise<Comparison> {
  const effectiveSegmentBytes = Math.min(segmentBytes, 64 * MiB);
  const big = await createTopic(`big-${segmentBytes}`, segmentBytes);
  const small = await createTopic(`small-${segmentBytes}`, segmentBytes);
  await fill(big, bigBytes, 1_000_000);
  await fillActive(big, effectiveSegmentBytes);
  await fill(small, MiB, SMALL_BATCH_BYTES);
  const bigMs: number[] = [];
  const smallMs: number[] = [];
  const warmMs: number[] = [];
  for (let i = 0; i < times; i++) {
    bigMs.push(await wake(big));
    smallMs.push(await wake(small));
    warmMs.push(await appendOne(small));
  }
  const medians = { bigMs: median(bigMs), smallMs: median(smallMs), warmMs: median(warmMs) };
  return { segmentBytes, effectiveSegmentBytes, ...medians, ratio: medians.bigMs / medians.smallMs };
}

async function createTopic(topic: string, segmentBytes: number): Promise<Subject> {
  const configs = {
    "segment.bytes": String(segmentBytes),
    "local.retention.ms": "0",
    "edgelog.local.drop.delay.ms": "0",
  };
  const body = JSON.stringify({ name: topic, configs });
  const { id } = await send("POST", "/v1/topics", { body, type: "application/json" });
  return { topic, object: partitionObjectName({ topicId: String(id), partition: 0, placement: 0 }) };
}

/** By idempotent producers, so that there is a producers' state to come back with. */
async function fill({ topic }: Subject, bytes: number, batchBytes: number): Promise<void> {
  let left = bytes;
  const write = async () => {
    const { producer_id: producerId } = await send("POST", "/v1/producers", {});
    const value = new Uint8Array(batchBytes - 100);
    for (let baseSequence = 0; left > 0; baseSequence++) {
      left -= batchBytes;
      await append(topic, value, { producerId: Number(producerId), producerEpoch: 0, baseSequence });
    }
  };
  await Promise.all(Array.from({ length: Math.min(WRITERS, Math.ceil(bytes / batchBytes)) }, write));
}

/** Up to a record short of the next roll. */
async function fillActive(subject: Subject, segmentBytes: number): Promise<void> {
  for (;;) {
    const { local_segments: segments, local_bytes: bytes } = await send(
      "GET",
      `/v1/topics/${subject.topic}/partitions/0`,
      {},
    );
    if (segments !== 1) await delay(100);
    else if (Number(bytes) < segmentBytes * 0.98) {
      await fill(subject, segmentBytes * 0.99 - Number(bytes), SMALL_BATCH_BYTES);
    } else return;
  }
}

/** From an evicted object to the acknowledgement of its first append, in ms. */
async function wake(subject: Subject): Promise<number> {
  await send("GET", `/bench/evict?object=${encodeURIComponent(subject.object)}`, {});
  return appendOne(subject);
}

async function appendOne({ topic }: Subject): Promise<number> {
  const beginMs = performance.now();
  await append(topic, new Uint8Array(10), {});
  return performance.now() - beginMs;
}

async function append(
  topic: string,
  value: Uint8Array,
  producer: Parameters<typeof encodeBatch>[1],
): Promise<void> {
  const batch = encodeBatch([{ timestamp: Date.now(), key: null, value }], producer);
  const path = `/v1/topics/${topic}/records?partition=0`;
  await send("POST", path, { body: new Uint8Array(batch), type: BATCH_TYPE });
}

async function send(
  method: string,
  path: string,
  { body, type }: { body?: string | Uint8Array<ArrayBuffer>; type?: string },
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}${path}`, {
    method,
    ...(type !== undefined && { headers: { "content-type": type } }),
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function print(comparison: Comparison): void {
  const { segmentBytes, effectiveSegmentBytes, bigMs, smallMs, warmMs, ratio } = comparison;
  const segments = `segment.bytes ${segmentBytes / MiB} MiB (effective ${effectiveSegmentBytes / MiB})`;
  const sizes = `${bigBytes / MiB} MiB behind it ${bigMs.toFixed(1)} ms, 1 MiB ${smallMs.toFixed(1)} ms`;
  console.log(`${segments}: ${sizes}, warm ${warmMs.toFixed(1)} ms; ratio ${ratio.toFixed(2)} (bar ${BAR})`);
}
