/** Real data: flights within the USA in January 2001, from the npm package vega-datasets. */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";

/** The first so many of the three million in the file. */
export const FLIGHTS = 231_083;

const CHUNK_ROWS = 25_000;

export interface Flight {
  /** The airport it left from. */
  readonly key: string;
  /** JSON */
  readonly value: string;
}

/** Flights `from` to `to` (exclusive), in the order of their departure. */
export async function* flights(from: number, to: number): AsyncGenerator<Flight, void, undefined> {
  const entry = createRequire(import.meta.url).resolve("vega-datasets");
  const file = await asyncBufferFromFile(join(dirname(entry), "../data/flights-3m.parquet"));
  const compressors = { ZSTD: (bytes: Uint8Array) => zstdDecompressSync(bytes) };
  for (let rowStart = from; rowStart < to; rowStart += CHUNK_ROWS) {
    const rowEnd = Math.min(rowStart + CHUNK_ROWS, to);
    for (const row of await parquetReadObjects({ file, compressors, rowStart, rowEnd })) yield toFlight(row);
  }
}

function toFlight({ date, delay, distance, origin, destination }: Record<string, unknown>): Flight {
  const value = {
    date: date instanceof Date ? date.toISOString().slice(0, 16) : null,
    origin,
    destination,
    delay: Number(delay),
    distance: Number(distance),
  };
  return { key: String(origin), value: JSON.stringify(value) };
}
