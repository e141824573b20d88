/**
 * Fuzzes a cluster from outside, and what reads record batches from inside:
 *
 *     npm run test:fuzz -- --cases 100000 --seed 1 [--url http://127.0.0.1:8787 [--token t]] [--lanes 8] [--keep]
 *         [--only batches|cluster]
 *
 * Without --url it starts a cluster of its own. A case in ten is a subscription; as many batches are judged as there are
 * cases. Each run begins with the corpus; --keep adds to it one of each kind that it lacks. Exit code 1 at the first
 * finding. The Kafka port has a fuzzer of its own, test/kafka/fuzz.ts.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startPlatform } from "../../src/cli/platform.ts";
import { fuzzBatches } from "./batches.ts";
import { fuzzHttp } from "./http.ts";
import { fuzzSockets } from "./socket.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "10000" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    url: { type: "string" },
    token: { type: "string" },
    lanes: { type: "string", default: "8" },
    keep: { type: "boolean", default: false },
    only: { type: "string" },
  },
});
const [cases, seed, lanes] = [Number(values.cases), Number(values.seed), Number(values.lanes)];
const { token, keep } = values;
const begunMs = performance.now();
console.log(`seed ${seed}: ${cases} cases`);
if (values.only !== "cluster") {
  const batches = fuzzBatches(cases, seed, keep);
  console.log(`${batches.valid} valid and ${batches.invalid} invalid batches`);
}
if (values.only !== "batches") await fuzzFromOutside();
console.log(`${Math.round((performance.now() - begunMs) / 1_000)} s`);

async function fuzzFromOutside(): Promise<void> {
  if (values.url !== undefined) return fuzzCluster(values.url);
  const dataDir = await mkdtemp(join(tmpdir(), "edgelog-fuzz-"));
  const platform = await startPlatform({ port: 0, dataDir, quiet: true });
  try {
    await fuzzCluster(platform.url);
  } finally {
    await platform.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function fuzzCluster(url: string): Promise<void> {
  const cluster = { url, seed, lanes, keep, ...(token !== undefined && { token }) };
  const sockets = Math.floor(cases / 10);
  const { valid, invalid, records, statuses } = await fuzzHttp({ ...cluster, cases: cases - sockets });
  const byStatus = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
  console.log(`${valid} valid and ${invalid} invalid requests, ${records} records stored and read back`);
  console.log(byStatus.join(", "));
  const subscriptions = await fuzzSockets({ ...cluster, cases: sockets });
  console.log(
    `${subscriptions.valid} valid and ${subscriptions.invalid} invalid subscriptions, ${subscriptions.records} records delivered`,
  );
}
