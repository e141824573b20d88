/**
 * Record batches, written and read: records a second and MB/s of keys and values, for batches of 1,000 records of 100
 * bytes, with and without keys, headers and compression. The best of the rounds counts.
 */

import { decodeBatch, encodeBatch } from "../src/log/batch.ts";
import type { CompressionName } from "../src/log/compression.ts";
import type { NewRecord } from "../src/log/record.ts";
import type { Question } from "./harness/question.ts";
import type { Cell } from "./harness/table.ts";

const COMPRESSIONS: readonly CompressionName[] = ["none", "gzip", "zstd"];
const RECORDS = 1_000;
const ROUNDS = 8;
const ROUND_MS = 250;

interface Shape {
  readonly keys: boolean;
  readonly headers: boolean;
}

const SHAPES: readonly Shape[] = [
  { keys: false, headers: false },
  { keys: true, headers: false },
  { keys: true, headers: true },
];

export const batches: Question = {
  name: "batches",
  title: "Encoding and decoding record batches",
  async answer(bench) {
    const rows = SHAPES.flatMap((shape, index) => {
      bench.progress("records", index / SHAPES.length);
      return rowsOf(shape);
    });
    const columns = [
      "batch",
      "bytes",
      "encode M records/s",
      "encode MB/s",
      "decode M records/s",
      "decode MB/s",
    ];
    return { tables: [{ title: `${RECORDS} records of 100 B`, columns, rows }] };
  },
};

const text = new TextEncoder().encode("flight ABQ-SFO, Southwest, 12 minutes late; ".repeat(40));

function recordsLike(shape: Shape): NewRecord[] {
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

function rowsOf(shape: Shape): Cell[][] {
  const records = recordsLike(shape);
  const bytes = records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0);
  return COMPRESSIONS.map((compression) => {
    const batch = encodeBatch(records, { compression });
    const encodeMs = fastest(() => void encodeBatch(records, { compression }));
    let sum = 0;
    const decodeMs = fastest(() => {
      for (const { value } of decodeBatch(batch)) sum += value?.length ?? 0;
    });
    if (sum === 0) throw new Error("nothing was decoded");
    const rates = (ms: number) => [RECORDS / ms / 1_000, bytes / ms / 1_000];
    const name = `${compression}${shape.keys ? ", keys" : ""}${shape.headers ? ", headers" : ""}`;
    return [name, batch.length, ...rates(encodeMs), ...rates(decodeMs)];
  });
}
