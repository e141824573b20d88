/**
 * Resident memory of workerd while bytes are appended, tiered to R2 and read back over HTTP, against the same process when
 * it was idle. Idle is after a small warm-up (code compiled, connections open).
 */

import { setTimeout as delay } from "node:timers/promises";
import { encodeBatch } from "../src/log/batch.ts";
import { batchHeaders } from "../src/log/batch-header.ts";
import { createTopic, type RunningPlatform, withPlatform } from "./harness/platforms.ts";
import { residentMiB } from "./harness/process.ts";
import type { Answer, Bench, Question } from "./harness/question.ts";
import type { Cell } from "./harness/table.ts";

const MiB = 1024 * 1024;
const TOPIC = "memory";
const BATCH_TYPE = "application/vnd.kafka.recordbatch";
const WRITERS = 4;
const SAMPLE_MS = 20;
const BATCH_BYTES = 1_000 * 1_024;
const READ_BYTES = MiB;
const OVER_IDLE_MIB_MAX = 64;
const TIER_AT_ONCE = { "local.retention.ms": "0", "edgelog.local.drop.delay.ms": "0" };

export const memory: Question = {
  name: "memory",
  title: "Memory of the process while bytes go through",
  answer: (bench) =>
    withPlatform("edgelog", async (platform) => answerOf(bench, await measure(bench, platform))),
};

interface Phase {
  readonly name: string;
  readonly seconds: number;
  readonly megabytes: number;
  /** MiB */
  readonly most: number;
  readonly atEnd: number;
}

interface Results {
  readonly totalBytes: number;
  readonly coldMiB: number;
  readonly idleMiB: number;
  readonly phases: readonly Phase[];
}

async function measure(bench: Bench, platform: RunningPlatform): Promise<Results> {
  const { url, workerdPid: pid } = platform;
  const totalBytes = bench.pick({ quick: 64, normal: 512, full: 2_048 }) * MiB;
  bench.progress("warming up", 0);
  const coldMiB = await residentMiB(pid);
  await createTopic(platform, "warm-up", 1, TIER_AT_ONCE);
  await append(url, "warm-up", 4 * MiB, 64 * 1024);
  await readBack(url, "warm-up");
  await delay(1_000);
  const idleMiB = await residentMiB(pid);

  await createTopic(platform, TOPIC, 1, TIER_AT_ONCE);
  const phases: Phase[] = [];
  const phase = async (name: string, work: () => Promise<number>) => {
    bench.progress(name, (1 + phases.length) / 5);
    let most = 0;
    let isOver = false;
    const sampling = (async () => {
      while (!isOver) {
        most = Math.max(most, await residentMiB(pid));
        await delay(SAMPLE_MS);
      }
    })();
    const beginMs = performance.now();
    const bytes = await work();
    const seconds = (performance.now() - beginMs) / 1_000;
    isOver = true;
    await sampling;
    phases.push({ name, seconds, megabytes: bytes / 1e6, most, atEnd: await residentMiB(pid) });
  };
  await phase("append", () => append(url, TOPIC, totalBytes, BATCH_BYTES));
  await phase("tier the rest", () => tiered(url));
  await phase("read back", () => readBack(url, TOPIC));
  await phase("10 s later", async () => {
    await delay(10_000);
    return 0;
  });
  return { totalBytes, coldMiB, idleMiB, phases };
}

async function append(url: string, topic: string, bytes: number, size: number): Promise<number> {
  const value = new Uint8Array(1_000).map((_, index) => index);
  const record = { timestamp: Date.now(), key: null, value };
  const batch = new Uint8Array(encodeBatch(Array.from({ length: Math.floor(size / 1_010) }, () => record)));
  let left = bytes;
  const write = async () => {
    while (left > 0) {
      left -= batch.length;
      const headers = { "content-type": BATCH_TYPE, prefer: "return=minimal" };
      const path = `${url}/v1/topics/${topic}/records?partition=0`;
      await answered(await fetch(path, { method: "POST", headers, body: batch }));
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
  return bytes;
}

/** Waits until all but the active segment are only in R2. */
async function tiered(url: string): Promise<number> {
  for (;;) {
    const response = await answered(await fetch(`${url}/v1/topics/${TOPIC}/partitions/0`));
    const { local_segments: local } = JSON.parse(new TextDecoder().decode(response));
    if (local <= 1) return 0;
    await delay(100);
  }
}

async function readBack(url: string, topic: string): Promise<number> {
  let bytes = 0;
  for (let offset = 0; ; ) {
    const path = `${url}/v1/topics/${topic}/partitions/0/records?offset=${offset}&max_bytes=${READ_BYTES}`;
    const batches = await answered(await fetch(path, { headers: { accept: BATCH_TYPE } }));
    if (batches.length === 0) return bytes;
    bytes += batches.length;
    for (const { header } of batchHeaders(batches)) offset = header.nextOffset;
  }
}

async function answered(response: Response): Promise<Uint8Array> {
  const body = new Uint8Array(await response.arrayBuffer());
  if (response.ok) return body;
  throw new Error(`${response.url} answered ${response.status}: ${new TextDecoder().decode(body)}`);
}

function answerOf(bench: Bench, { totalBytes, coldMiB, idleMiB, phases }: Results): Answer {
  bench.progress("done", 1);
  const overIdle = Math.max(...phases.map(({ most }) => most)) - idleMiB;
  const rows = phases.map(({ name, seconds, megabytes, most, atEnd }): Cell[] => [
    name,
    seconds,
    megabytes === 0 ? undefined : megabytes / seconds,
    most,
    most - idleMiB,
    atEnd,
  ]);
  const columns = ["phase", "s", "MB/s", "most MiB", "over idle MiB", "at end MiB"].map((name, index) =>
    index < 3 ? name : { name, digits: 0 },
  );
  const title = `${totalBytes / MiB} MiB in batches of ${BATCH_BYTES / 1024} KiB, read by ${READ_BYTES / 1024} KiB; cold ${coldMiB.toFixed(0)} MiB, idle ${idleMiB.toFixed(0)} MiB`;
  const target = {
    target: "Resident memory over idle while bytes go through",
    measured: overIdle,
    bound: { atMost: OVER_IDLE_MIB_MAX },
    unit: "MiB",
  };
  return { tables: [{ title, columns, rows }], targets: [target] };
}
