/**
 * What the first call to a partition costs that has left memory, by the size of its active segment: the object is evicted
 * from a running platform, so the figures are those of the object and not of a process that starts. Active segments are
 * full of small batches by idempotent producers, because waking reads their headers; one partition has a log behind it.
 */

import { setTimeout as delay } from "node:timers/promises";
import { encodeBatch } from "../src/log/batch.ts";
import { partitionObjectName } from "../src/model/ids.ts";
import { median } from "./harness/latencies.ts";
import { answerOf, createTopic, type RunningPlatform, withPlatform } from "./harness/platforms.ts";
import type { Answer, Bench, Question, TargetResult } from "./harness/question.ts";
import type { Cell } from "./harness/table.ts";
import { tcpChannel } from "./load/channel.ts";
import { HttpConnection } from "./load/http.ts";
import { KafkaClient } from "./load/kafka.ts";

const MiB = 1024 * 1024;
const BATCH_TYPE = "application/vnd.kafka.recordbatch";
const SMALL_BATCH_BYTES = 4_000;
const LARGE_BATCH_BYTES = 1_000_000;
const UNDER_WAY = 32;
const RATIO_MAX = 1.5;
const TIER_AT_ONCE = { "local.retention.ms": "0", "edgelog.local.drop.delay.ms": "0" };

export const cold: Question = {
  name: "cold",
  title: "Waking an evicted partition",
  answer: (bench) => withPlatform("evicting", (platform) => measureAll(bench, platform)),
};

interface Subject {
  readonly name: string;
  readonly topic: string;
  readonly object: string;
}

async function measureAll(bench: Bench, platform: RunningPlatform): Promise<Answer> {
  const behind = bench.pick({ quick: 32, normal: 256, full: 1_024 }) * MiB;
  const repeats = bench.pick({ quick: 5, normal: 25, full: 50 });
  const actives = bench.pick({ quick: [0.01, 1, 16], normal: [0.01, 1, 16, 64], full: [0.01, 1, 16, 64] });
  const client = new KafkaClient(await tcpChannel(platform.kafkaAddress));
  const subjects: Subject[] = [];
  for (const [index, mebibytes] of actives.entries()) {
    bench.progress(`filling an active segment of ${mebibytes} MiB`, (0.3 * index) / actives.length);
    const subject = await newSubject(platform, `active segment of ${mebibytes} MiB`, 64 * MiB);
    await fill(platform, client, subject, mebibytes * MiB * 0.98, SMALL_BATCH_BYTES);
    subjects.push(subject);
  }
  bench.progress("filling a log", 0.3);
  const long = await newSubject(
    platform,
    `${behind / MiB} MiB behind it, active segment full (16 MiB)`,
    16 * MiB,
  );
  await fill(platform, client, long, behind, LARGE_BATCH_BYTES);
  await fillActive(platform, client, long, 16 * MiB);
  subjects.push(long);

  const http = await HttpConnection.open(platform.url);
  const firstAppends = subjects.map((): number[] => []);
  const firstFetches = subjects.map((): number[] => []);
  const warmAppends = subjects.map((): number[] => []);
  const warmFetches = subjects.map((): number[] => []);
  for (let repeat = 0; repeat < repeats; repeat++) {
    bench.progress("evicting and waking", 0.5 + (0.5 * repeat) / repeats);
    for (const [index, { topic, object }] of subjects.entries()) {
      const evict = async () =>
        answerOf(await fetch(`${platform.url}/bench/evict?object=${encodeURIComponent(object)}`));
      const [append, read] = [appendRequest(topic), fetchRequest(topic)];
      await evict();
      firstAppends[index]?.push(await timed(() => http.request(append)));
      warmAppends[index]?.push(await timed(() => http.request(append)));
      await evict();
      firstFetches[index]?.push(await timed(() => http.request(read)));
      warmFetches[index]?.push(await timed(() => http.request(read)));
    }
  }
  client.close();
  http.close();
  const rows = subjects.map(({ name }, index): Cell[] => [
    name,
    ...[firstAppends, warmAppends, firstFetches, warmFetches].map((all) => median(all[index] ?? [])),
  ]);
  const targets: TargetResult[] = [
    {
      target: `First append with ${behind / MiB} MiB behind a full active segment, of one with almost nothing`,
      measured: median(firstAppends.at(-1) ?? []) / median(firstAppends[0] ?? []),
      bound: { atMost: RATIO_MAX },
      unit: "×",
    },
  ];
  return {
    tables: [
      {
        title: "From an evicted object to its first answer (medians)",
        columns: ["partition", "first append ms", "warm append ms", "first fetch ms", "warm fetch ms"],
        rows,
      },
    ],
    targets,
    notes: [
      "Over one HTTP connection, whose requests find the object anew; the fetch is of the log's first batch.",
    ],
  };
}

async function newSubject(platform: RunningPlatform, name: string, segmentBytes: number): Promise<Subject> {
  const topic = `cold-${name.replace(/[^a-z0-9.]+/gi, "-")}`;
  const { id } = await createTopic(platform, topic, 1, {
    ...TIER_AT_ONCE,
    "segment.bytes": String(segmentBytes),
  });
  return { name, topic, object: partitionObjectName({ topicId: id, partition: 0, placement: 0 }) };
}

/** By idempotent producers, so that there is a producers' state to come back with. */
async function fill(
  platform: RunningPlatform,
  client: KafkaClient,
  { topic }: Subject,
  bytes: number,
  batchBytes: number,
): Promise<void> {
  const { producer_id: producerId } = await answerOf(
    await fetch(`${platform.url}/v1/producers`, { method: "POST" }),
  );
  const value = new Uint8Array(batchBytes - 100);
  const underWay: Promise<number>[] = [];
  for (let sequence = 0; sequence * batchBytes < bytes; sequence++) {
    const producer = { producerId, producerEpoch: 0, baseSequence: sequence };
    const batch = encodeBatch([{ timestamp: Date.now(), key: null, value }], producer);
    underWay.push(client.produce(KafkaClient.produceFrame(topic, 0, batch)));
    if (underWay.length >= UNDER_WAY) await underWay.shift();
  }
  await Promise.all(underWay);
}

/** Up to a batch short of the next roll. */
async function fillActive(
  platform: RunningPlatform,
  client: KafkaClient,
  subject: Subject,
  segmentBytes: number,
): Promise<void> {
  for (;;) {
    const url = `${platform.url}/v1/topics/${subject.topic}/partitions/0`;
    const { local_segments: segments, local_bytes: bytes } = await answerOf(await fetch(url));
    if (segments !== 1) await delay(100);
    else if (bytes >= segmentBytes * 0.97) return;
    else await fill(platform, client, subject, segmentBytes * 0.98 - bytes, SMALL_BATCH_BYTES);
  }
}

function appendRequest(topic: string): Uint8Array {
  const batch = encodeBatch([{ timestamp: Date.now(), key: null, value: new Uint8Array(10) }]);
  return HttpConnection.post(`/v1/topics/${topic}/records?partition=0`, BATCH_TYPE, batch);
}

function fetchRequest(topic: string): Uint8Array {
  return HttpConnection.get(`/v1/topics/${topic}/partitions/0/records?offset=0&max_bytes=1`, BATCH_TYPE);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const beginMs = performance.now();
  await work();
  return performance.now() - beginMs;
}
