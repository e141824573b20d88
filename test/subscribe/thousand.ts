/**
 * Many subscribers on one partition, each of whom must get every record once and in order, while one of them reads nothing
 * until the others have done. Prints delivery times and memory; exits with 1 if anything is missing, repeated or wrong.
 *
 *   node test/subscribe/thousand.ts [--url http://127.0.0.1:8787 [--pid <pid of the server>]] [--token <t>]
 *     [--subscribers 1000] [--records 1000] [--value-bytes 200] [--batch 10] [--timeout-s 300]
 *
 * Without --url it starts a platform of its own.
 */

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { startPlatform } from "../../src/cli/platform.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { decodeFrame } from "../../src/subscribe/frame.ts";
import { BINARY_SUBPROTOCOL, CREDIT_DUE, encodeClientMessage } from "../../src/subscribe/protocol.ts";

const CREDIT_BYTES = 64 * 1024;
const CONNECTING_AT_ONCE = 50;

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    pid: { type: "string" },
    token: { type: "string" },
    subscribers: { type: "string", default: "1000" },
    records: { type: "string", default: "1000" },
    "value-bytes": { type: "string", default: "200" },
    batch: { type: "string", default: "10" },
    "timeout-s": { type: "string", default: "300" },
  },
});
const subscriberCount = Number(options.subscribers);
const recordCount = Number(options.records);
const valueBytes = Number(options["value-bytes"]);
const batchRecords = Number(options.batch);
const headers: Record<string, string> =
  options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };

const decoder = new TextDecoder();

/** Checks what it gets as it comes, so that nothing has to be kept. */
class Subscriber {
  readonly name: string;
  readonly #socket: WebSocket;
  readonly #latencies: number[];
  readonly opened: Promise<void>;
  readonly done: Promise<void>;
  next = 0;
  #uncredited = 0;

  constructor(url: string, name: string, latencies: number[]) {
    this.name = name;
    this.#latencies = latencies;
    this.#socket = new WebSocket(url, BINARY_SUBPROTOCOL, { headers, perMessageDeflate: false });
    this.#socket.binaryType = "arraybuffer";
    const opened = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    // Whoever waits for the one may never come to the other.
    done.promise.catch(() => {});
    this.opened = opened.promise;
    this.done = done.promise;
    const failed = (why: string) => {
      const error = new Error(`subscriber ${name} at ${this.next}: ${why}`);
      opened.reject(error);
      done.reject(error);
    };
    this.#socket.on("open", () => opened.resolve());
    this.#socket.on("error", (error) => failed(error.message));
    this.#socket.on("close", (code, reason) => failed(`closed with ${code} ${reason}`));
    this.#socket.on("message", (data, isBinary) => {
      try {
        if (isBinary && data instanceof ArrayBuffer) this.#frame(data);
        else if (String(data) === CREDIT_DUE) this.#credit();
        if (this.next === recordCount) done.resolve();
      } catch (error) {
        failed(String(error));
      }
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.terminate();
  }

  #frame(data: ArrayBuffer): void {
    const frame = decodeFrame(data);
    if (frame === undefined) return;
    if (frame.from !== this.next) throw new Error(`a frame begins at ${frame.from}`);
    const nowMs = Date.now();
    for (const { offset, value } of decodeBatches(frame.batches)) {
      if (offset < this.next) continue;
      const [number, sentMs] = decoder
        .decode(value ?? new Uint8Array())
        .split(" ", 2)
        .map(Number);
      if (offset !== this.next || number !== offset) throw new Error(`got record ${number} at ${offset}`);
      this.#latencies.push(nowMs - (sentMs ?? 0));
      this.next++;
    }
    if (this.next !== frame.next) throw new Error(`the frame ends at ${frame.next}`);
    this.#uncredited += frame.batches.length;
    if (this.#uncredited >= CREDIT_BYTES / 2) this.#credit();
  }

  #credit(): void {
    if (this.#uncredited === 0) return;
    this.#socket.send(encodeClientMessage({ type: "credit", bytes: this.#uncredited }));
    this.#uncredited = 0;
  }
}

async function post(url: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(new URL(path, url), {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${text}`);
}

/** One after another, so that the number in a record is its offset. */
async function produce(url: string, topic: string): Promise<void> {
  for (let from = 0; from < recordCount; from += batchRecords) {
    const count = Math.min(batchRecords, recordCount - from);
    const records = Array.from({ length: count }, (_, index) => ({
      partition: 0,
      value: `${from + index} ${Date.now()} `.padEnd(valueBytes, "."),
    }));
    await post(url, `/v1/topics/${topic}/records`, { records });
  }
}

async function run(url: string, pids: () => Promise<readonly number[]>, withIdle: boolean): Promise<void> {
  const topic = `thousand-${crypto.randomUUID()}`;
  await post(url, "/v1/topics", { name: topic, partitions: 1 });
  const path = `/v1/topics/${topic}/subscribe?partition=0&offset=earliest&credit_bytes=${CREDIT_BYTES}`;
  const address = new URL(path, url).href.replace(/^http/, "ws");
  const latencies: number[] = [];
  const subscribers: Subscriber[] = [];
  let peakRss = 0;
  const watch = setInterval(async () => {
    peakRss = Math.max(peakRss, await rssOf(await pids()));
  }, 250);
  try {
    while (subscribers.length < subscriberCount) {
      const some = Array.from(
        { length: Math.min(CONNECTING_AT_ONCE, subscriberCount - subscribers.length) },
        (_, index) => new Subscriber(address, String(subscribers.length + index), latencies),
      );
      subscribers.push(...some);
      await Promise.all(some.map(({ opened }) => opened));
    }
    const idle = withIdle ? subscribers[0] : undefined;
    idle?.pause();
    const rssBefore = await rssOf(await pids());
    const startedMs = performance.now();
    const readers = subscribers.filter((subscriber) => subscriber !== idle);
    const producing = produce(url, topic);
    await Promise.all([producing, ...readers.map(({ done }) => done)]);
    const tookMs = performance.now() - startedMs;
    const sorted = latencies.toSorted((a, b) => a - b);
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    console.log(
      [
        withIdle ? "one of them reads nothing:" : "all of them read:",
        `  ${readers.length} subscribers got ${recordCount} records each, in order, in ${(tookMs / 1_000).toFixed(2)} s`,
        `  ${Math.round(latencies.length / (tookMs / 1_000)).toLocaleString("en")} records/s delivered`,
        `  from before the request to the subscriber: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`,
      ].join("\n"),
    );
    const idleHad = idle?.next;
    idle?.resume();
    await idle?.done;
    peakRss = Math.max(peakRss, await rssOf(await pids()));
    if (idle !== undefined) {
      console.log(
        `  the idle one had ${idleHad} records until then, and got all ${idle.next}, in order, afterwards`,
      );
    }
    if (peakRss > 0) {
      const mb = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
      console.log(`  the server's resident memory: ${mb(rssBefore)} MB before, ${mb(peakRss)} MB at most`);
    }
  } finally {
    clearInterval(watch);
    for (const subscriber of subscribers) subscriber.close();
  }
}

/** Of these processes and all their children; 0 where there is no /proc. */
async function rssOf(pids: readonly number[]): Promise<number> {
  let bytes = 0;
  for (const pid of pids) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    bytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

async function descendants(root: number): Promise<readonly number[]> {
  const parents = new Map<number, number>();
  for (const entry of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, "utf8").catch(() => "");
    // The name, in parentheses, may contain anything.
    parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  }
  const found = [root];
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child);
  }
  return found;
}

async function main(): Promise<void> {
  const limit = setTimeout(() => {
    console.error(`not done after ${options["timeout-s"]} s`);
    process.exit(1);
  }, Number(options["timeout-s"]) * 1_000);
  limit.unref();
  if (options.url !== undefined) {
    const server = options.pid === undefined ? undefined : Number(options.pid);
    const pids = async () => (server === undefined ? [] : descendants(server));
    await run(options.url, pids, false);
    await run(options.url, pids, true);
    return;
  }
  const dataDir = await mkdtemp(join(tmpdir(), "edgelog-thousand-"));
  const platform = await startPlatform({ port: 0, dataDir, quiet: true });
  try {
    const pids = async () => (await descendants(process.pid)).filter((pid) => pid !== process.pid);
    await run(platform.url, pids, false);
    await run(platform.url, pids, true);
  } finally {
    await platform.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

await main();
process.exit(0);
