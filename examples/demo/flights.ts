/** Real data: flights within the USA in January 2001, from the npm package vega-datasets. */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";

/** The first so many of the three million in the file. */
export const FLIGHTS = 231_083;

export interface Flight {
  /** The airport it left from. */
  readonly key: string;
  /** JSON */
  readonly value: string;
}

/** Flights `from` to `to` (exclusive), in the order of their departure. */
export async function readFlights(from: number, to: number): Promise<Flight[]> {
  const entry = createRequire(import.meta.url).resolve("vega-datasets");
  const file = await asyncBufferFromFile(join(dirname(entry), "../data/flights-3m.parquet"));
  const compressors = { ZSTD: (bytes: Uint8Array) => zstdDecompressSync(bytes) };
  const rows = await parquetReadObjects({ file, compressors, rowStart: from, rowEnd: to });
  return rows.map(toFlight);
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
