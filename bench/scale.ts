/**
 * What grows with size, and what must not: creating topics of a million partitions, appending to many partitions at
 * random, many groups, and a long log, whose appends and fetches must take no longer than a short one's.
 */

import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { encodeBatch } from "../src/log/batch.ts";
import { LOCAL_BYTES_TARGET } from "../src/model/limits.ts";
import { Latencies, median } from "./harness/latencies.ts";
import {
  answerOf,
  createTopic,
  deleteTopic,
  type RunningPlatform,
  withPlatform,
} from "./harness/platforms.ts";
import { residentMiB } from "./harness/process.ts";
import type { Answer, Bench, Question, TargetResult } from "./harness/question.ts";
import type { Cell, Table } from "./harness/table.ts";
import { batchOf, batchOfBytes } from "./load/batches.ts";
import { tcpChannel } from "./load/channel.ts";
import { KafkaClient } from "./load/kafka.ts";

const MB = 1e6;
const SEGMENT_BYTES = 16 * 1024 * 1024;
const PARTITIONS = [1, 1_000, 1_000_000];
const AT_ONCE = 32;
const PROBES = 60;
const RATIO_MAX = 1.5;

export const scale: Question = {
  name: "scale",
  title: "Scale: partitions, groups, length of the log",
  answer: (bench) => withPlatform("edgelog", (platform) => measureAll(bench, platform)),
};

async function measureAll(bench: Bench, platform: RunningPlatform): Promise<Answer> {
  const creation = await creationTable(bench, platform);
  const many = await manyPartitionsTable(bench, platform);
  const groups = await groupsTable(bench, platform);
  const log = await longLog(bench, platform);
  return { tables: [creation, many, groups, log.table], targets: log.targets };
}

async function creationTable(bench: Bench, platform: RunningPlatform): Promise<Table> {
  const repeats = bench.pick({ quick: 3, normal: 7, full: 15 });
  const rows: Cell[][] = [];
  for (const partitions of PARTITIONS) {
    bench.progress(`topics of ${partitions} partitions`, 0);
    const before = await bytesIn(platform.dataDir);
    const times: number[] = [];
    for (let repeat = 0; repeat < repeats; repeat++) {
      const beginMs = performance.now();
      await createTopic(platform, `created-${partitions}-${repeat}`, partitions);
      times.push(performance.now() - beginMs);
    }
    const bytes = ((await bytesIn(platform.dataDir)) - before) / repeats;
    rows.push([partitions, median(times), Math.round(bytes)]);
  }
  for (const partitions of PARTITIONS) {
    for (let repeat = 0; repeat < repeats; repeat++)
      await deleteTopic(platform, `created-${partitions}-${repeat}`);
  }
  return {
    title: "Creating a topic (median)",
    columns: [{ name: "partitions", digits: 0 }, "ms", { name: "bytes on disk", digits: 0 }],
    rows,
  };
}

async function manyPartitionsTable(bench: Bench, platform: RunningPlatform): Promise<Table> {
  const partitions = bench.pick({ quick: 200, normal: 2_000, full: 10_000 });
  const topic = "many-partitions";
  await createTopic(platform, topic, partitions);
  const client = new KafkaClient(await tcpChannel(platform.kafkaAddress));
  const batch = batchOf(1, 1_000);
  const before = await residentMiB(platform.workerdPid);
  const rows: Cell[][] = [];
  const order = shuffled(partitions);
  for (const [round, name] of ["first append (the partition is opened)", "second append"].entries()) {
    const latencies = new Latencies();
    const beginMs = performance.now();
    const left = order.values();
    const work = async () => {
      for (const partition of left) {
        const startMs = performance.now();
        await client.produce(KafkaClient.produceFrame(topic, partition, batch));
        latencies.add(performance.now() - startMs);
        if (latencies.count % 50 === 0) {
          bench.progress(
            `${partitions} partitions: ${name}`,
            0.1 + 0.15 * (round + latencies.count / partitions),
          );
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const perSecond = partitions / ((performance.now() - beginMs) / 1_000);
    rows.push([name, perSecond, latencies.quantile(0.5), latencies.quantile(0.99)]);
  }
  client.close();
  const memory = (await residentMiB(platform.workerdPid)) - before;
  return {
    title: `${partitions} partitions in random order, ${AT_ONCE} appends of 1 KB under way; workerd took ${memory.toFixed(0)} MiB more`,
    columns: ["", { name: "appends/s", digits: 0 }, "p50 ms", "p99 ms"],
    rows,
  };
}

async function groupsTable(bench: Bench, platform: RunningPlatform): Promise<Table> {
  const groups = bench.pick({ quick: 200, normal: 2_000, full: 10_000 });
  await createTopic(platform, "grouped", 1);
  const url = (group: number) => `${platform.url}/v1/groups/group-${group}/offsets`;
  const body = JSON.stringify({ offsets: [{ topic: "grouped", partition: 0, offset: 0 }] });
  const headers = { "content-type": "application/json" };
  const rows: Cell[][] = [];
  const steps = [
    [
      "first commit (the group is made)",
      (group: number) => fetch(url(group), { method: "PUT", headers, body }),
    ],
    ["second commit", (group: number) => fetch(url(group), { method: "PUT", headers, body })],
    ["read its offsets", (group: number) => fetch(url(group))],
  ] as const;
  for (const [step, [name, ask]] of steps.entries()) {
    const latencies = new Latencies();
    const beginMs = performance.now();
    const left = shuffled(groups).values();
    const work = async () => {
      for (const group of left) {
        const startMs = performance.now();
        await answerOf(await ask(group));
        latencies.add(performance.now() - startMs);
        if (latencies.count % 50 === 0) {
          bench.progress(`${groups} groups: ${name}`, 0.4 + 0.05 * (step + latencies.count / groups));
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const perSecond = groups / ((performance.now() - beginMs) / 1_000);
    rows.push([name, perSecond, latencies.quantile(0.5), latencies.quantile(0.99)]);
  }
  return {
    title: `${groups} groups in random order, ${AT_ONCE} requests under way (HTTP)`,
    columns: ["", { name: "requests/s", digits: 0 }, "p50 ms", "p99 ms"],
    rows,
  };
}

async function longLog(bench: Bench, platform: RunningPlatform) {
  const marks = bench.pick({
    quick: [1, 32, 64],
    normal: [1, 100, 500, 1_000],
    full: [1, 1_000, 5_000, 10_000],
  });
  const topic = "long-log";
  await createTopic(platform, topic, 1, { "edgelog.local.drop.delay.ms": "0" });
  const client = new KafkaClient(await tcpChannel(platform.kafkaAddress));
  const large = KafkaClient.produceFrame(topic, 0, batchOfBytes(1_000_000));
  const rows: Cell[][] = [];
  let written = 0;
  for (const [index, mark] of marks.entries()) {
    let under: Promise<number>[] = [];
    while (written < mark * MB) {
      under.push(client.produce(large));
      written += MB;
      if (under.length < 4) continue;
      await Promise.all(under);
      under = [];
      bench.progress(`a log of ${mark} MB`, 0.55 + 0.45 * ((index + written / mark / MB) / marks.length));
    }
    await Promise.all(under);
    await isTiered(platform, topic);
    rows.push([mark, ...(await probe(client, topic))]);
  }
  client.close();
  const [first, last] = [rows[0], rows.at(-1)];
  const ratio = (column: number) => Number(last?.[column]) / Number(first?.[column]);
  const targets: TargetResult[] = [
    {
      target: `Append p50 with ${marks.at(-1)} MB behind it, of one with 1 MB`,
      measured: ratio(1),
      bound: { atMost: RATIO_MAX },
      unit: "×",
    },
    {
      target: `Fetch p50 at the tail with ${marks.at(-1)} MB behind it, of one with 1 MB`,
      measured: ratio(3),
      bound: { atMost: RATIO_MAX },
      unit: "×",
    },
  ];
  const table: Table = {
    title: "A log that grows (as it is by default: tiered to R2, 64 MiB kept in SQLite)",
    columns: [
      { name: "MB behind", digits: 0 },
      "append p50 ms",
      "append p99 ms",
      "tail fetch p50 ms",
      "tail fetch p99 ms",
      "random fetch p50 ms",
      "random fetch p99 ms",
    ],
    rows,
  };
  return { table, targets };
}

/** Until nothing waits for its upload: measured is the log's length, not what goes on in the background. */
async function isTiered({ url }: RunningPlatform, topic: string): Promise<void> {
  for (;;) {
    const { local_bytes: local } = await answerOf(await fetch(`${url}/v1/topics/${topic}/partitions/0`));
    if (local <= LOCAL_BYTES_TARGET + SEGMENT_BYTES) return;
    await delay(100);
  }
}

/** One at a time: append a record, fetch it, and fetch from anywhere in the log. */
async function probe(client: KafkaClient, topic: string): Promise<number[]> {
  const appends = new Latencies();
  const tails = new Latencies();
  const randoms = new Latencies();
  const timed = async <T>(latencies: Latencies, work: () => Promise<T>): Promise<T> => {
    const startMs = performance.now();
    const result = await work();
    latencies.add(performance.now() - startMs);
    return result;
  };
  const batch = encodeBatch([{ timestamp: Date.now(), key: null, value: new Uint8Array(100) }]);
  const frame = KafkaClient.produceFrame(topic, 0, batch);
  for (let count = 0; count < PROBES; count++) {
    const offset = await timed(appends, () => client.produce(frame));
    await timed(tails, () => client.fetch(topic, 0, offset, { maxBytes: 1_024 }));
    const anywhere = Math.floor(Math.random() * offset);
    await timed(randoms, () => client.fetch(topic, 0, anywhere, { maxBytes: 1_024 }));
  }
  return [appends, tails, randoms].flatMap((one) => [one.quantile(0.5), one.quantile(0.99)]);
}

function shuffled(count: number): number[] {
  const numbers = Array.from({ length: count }, (_, index) => index);
  for (let index = count - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [numbers[index], numbers[other]] = [numbers[other] ?? 0, numbers[index] ?? 0];
  }
  return numbers;
}

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true });
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(directory, name)).then(
        (found) => (found.isFile() ? found.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
