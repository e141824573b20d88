/**
 * Record batches, written and read: `npx node bench/batch.ts`. Records a second and MB/s of keys and values, for batches of
 * 1,000 records of 100 bytes, with and without keys, headers and compression. The best of the rounds counts.
 */

import { decodeBatch, encodeBatch } from "../src/log/batch.ts";
import type { CompressionName } from "../src/log/compression.ts";
import type { NewRecord } from "../src/log/record.ts";

const COMPRESSIONS: readonly CompressionName[] = ["none", "gzip", "zstd"];
const RECORDS = 1_000;
const ROUNDS = 8;
const ROUND_MS = 250;

const text = new TextEncoder().encode("flight ABQ-SFO, Southwest, 12 minutes late; ".repeat(40));

function recordsLike(shape: { keys: boolean; headers: boolean }): NewRecord[] {
  return Array.from({ length: RECORDS }, (_, index) => ({
    timestamp: 1_700_000_000_000 + index,
    key: shape.keys ? text.slice(index % 40, (index % 40) + 16) : null,
    value: text.slice(index % 97, (index % 97) + 100),
    ...(shape.headers ? { headers: [{ key: "trace-id", value: text.slice(0, 16) }] } : {}),
  }));
}

function fastest(work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    let times = 0;
    while (performance.now() - startMs < ROUND_MS) {
      work();
      times++;
    }
    best = Math.min(best, (performance.now() - startMs) / times);
  }
  return best;
}

function report(name: string, ms: number, bytes: number): void {
  const millions = (RECORDS / ms / 1_000).toFixed(2).padStart(8);
  const megabytes = (bytes / ms / 1_000).toFixed(0).padStart(7);
  console.log(`  ${name.padEnd(8)} ${millions} million records/s ${megabytes} MB/s`);
}

for (const shape of [
  { keys: false, headers: false },
  { keys: true, headers: false },
  { keys: true, headers: true },
]) {
  const records = recordsLike(shape);
  const bytes = records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0);
  for (const compression of COMPRESSIONS) {
    const batch = encodeBatch(records, { compression });
    console.log(
      `${compression}${shape.keys ? ", keys" : ""}${shape.headers ? ", headers" : ""} (${batch.length} bytes)`,
    );
    report(
      "encode",
      fastest(() => void encodeBatch(records, { compression })),
      bytes,
    );
    let sum = 0;
    report(
      "decode",
      fastest(() => {
        for (const { value } of decodeBatch(batch)) sum += value?.length ?? 0;
      }),
      bytes,
    );
    if (sum === 0) throw new Error("nothing was decoded");
  }
}
