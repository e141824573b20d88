/**
 * Resident memory of workerd while a gigabyte is appended, tiered to R2 and read back over HTTP, against the same
 * process when it was idle: `npx node bench/memory.ts [--megabytes 1024] [--batch-kb 1000] [--read-kb 1024]
 * [--json]`.
 *
 * Idle is after a small warm-up (code compiled, connections open); the figure from before it is shown, too.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { encodeBatch } from "../src/log/batch.ts";
import { batchHeaders } from "../src/log/batch-header.ts";
import { serve } from "./serve.ts";

const MiB = 1024 * 1024;
const TOPIC = "memory";
const BATCH_TYPE = "application/vnd.kafka.recordbatch";
const WRITERS = 4;
const SAMPLE_MS = 20;
const BAR_MIB = 64;

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "1024" },
    "batch-kb": { type: "string", default: "1000" },
    "read-kb": { type: "string", default: "1024" },
    json: { type: "boolean", default: false },
  },
});
const totalBytes = Number(values.megabytes) * MiB;
const batchBytes = Number(values["batch-kb"]) * 1024;
const readBytes = Number(values["read-kb"]) * 1024;

const dataDir = await mkdtemp(join(tmpdir(), "edgelog-memory-"));
const server = await serve(dataDir);
try {
  const workerd = Number(await readFile(join(dataDir, "workerd.pid"), "utf8"));
  const results = await measure(server.url, workerd);
  print(results);
} finally {
  await server.stop();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

interface Phase {
  readonly name: string;
  readonly seconds: number;
  readonly megabytes: number;
  /** MiB */
  readonly most: number;
  readonly atEnd: number;
}

interface Results {
  readonly coldMiB: number;
  readonly idleMiB: number;
  readonly phases: readonly Phase[];
}

async function measure(url: string, pid: number): Promise<Results> {
  const coldMiB = await residentMiB(pid);
  await createTopic(url, "warm-up");
  await append(url, "warm-up", 4 * MiB, 64 * 1024);
  await readBack(url, "warm-up");
  await delay(1_000);
  const idleMiB = await residentMiB(pid);

  await createTopic(url, TOPIC);
  const phases: Phase[] = [];
  const phase = async (name: string, work: () => Promise<number>) => {
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
  await phase("append", () => append(url, TOPIC, totalBytes, batchBytes));
  await phase("tier the rest", () => tiered(url));
  await phase("read back", () => readBack(url, TOPIC));
  await phase("10 s later", async () => {
    await delay(10_000);
    return 0;
  });
  return { coldMiB, idleMiB, phases };
}

async function createTopic(url: string, name: string): Promise<void> {
  const configs = { "local.retention.ms": "0", "edgelog.local.drop.delay.ms": "0" };
  const body = JSON.stringify({ name, configs });
  const headers = { "content-type": "application/json" };
  await answered(await fetch(`${url}/v1/topics`, { method: "POST", headers, body }));
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
    const path = `${url}/v1/topics/${topic}/partitions/0/records?offset=${offset}&max_bytes=${readBytes}`;
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

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

function print({ coldMiB, idleMiB, phases }: Results): void {
  const growth = Math.max(...phases.map(({ most }) => most)) - idleMiB;
  if (values.json) {
    console.log(JSON.stringify({ coldMiB, idleMiB, phases, growthMiB: growth, barMiB: BAR_MIB }));
    return;
  }
  console.log(
    `${totalBytes / MiB} MiB in batches of ${batchBytes / 1024} KiB, read by ${readBytes / 1024} KiB; resident memory of workerd in MiB`,
  );
  console.log(`  cold ${coldMiB.toFixed(0)}, idle after the warm-up ${idleMiB.toFixed(0)}\n`);
  console.log("  phase               s     MB/s   most   over idle   at end");
  for (const { name, seconds, megabytes, most, atEnd } of phases) {
    const speed = megabytes === 0 ? "-" : (megabytes / seconds).toFixed(0);
    const cells = [seconds.toFixed(1).padStart(6), speed.padStart(8), most.toFixed(0).padStart(7)];
    cells.push((most - idleMiB).toFixed(0).padStart(10), atEnd.toFixed(0).padStart(10));
    console.log(`  ${name.padEnd(15)}${cells.join("")}`);
  }
  console.log(`\n  most over idle: ${growth.toFixed(0)} MiB (bar: ${BAR_MIB} MiB)`);
}
