/**
 * `npm run test:transactions -- --client all --minutes 3 --records 100000 --workers 4 --partitions 8 --seed 1`: workers of a
 * client read one topic and write to another, and commit where they are, in transactions, some of which they abort. They
 * are killed, frozen and replaced all the time, under the same transactional id or another. Each record must be in the
 * output once (check.ts). `--kill-platform 10` kills the whole platform as often besides. Exit code 1 on a violation, 2 if
 * nothing could be run.
 */

import { parseArgs } from "node:util";
import { CLIENTS } from "./clients.ts";
import { runLoop } from "./run.ts";

const { values } = parseArgs({
  options: {
    client: { type: "string", default: "all" },
    minutes: { type: "string", default: "3" },
    records: { type: "string", default: "100000" },
    workers: { type: "string", default: "4" },
    partitions: { type: "string", default: "8" },
    "kill-platform": { type: "string", default: "0" },
    seed: { type: "string" },
    bootstrap: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const seed = number("--seed", values.seed ?? String(Date.now() % 2 ** 31));
const asked = values.client === "all" ? CLIENTS : CLIENTS.filter(({ name }) => name === values.client);
if (asked.length === 0) {
  console.error(`--client takes all or one of ${CLIENTS.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

let run = 0;
let isClean = true;
for (const client of asked) {
  const missing = client.missing();
  if (missing !== undefined) {
    console.log(`SKIPPED ${client.name}: ${missing}`);
    continue;
  }
  run++;
  console.log(`\n${client.name}, seed ${seed}`);
  const begunMs = performance.now();
  const { violations, counts, directory } = await runLoop({
    client,
    seed,
    ms: number("--minutes", values.minutes) * 60_000,
    records: number("--records", values.records),
    workers: number("--workers", values.workers),
    partitions: number("--partitions", values.partitions),
    platformKills: number("--kill-platform", values["kill-platform"]),
    ...(values.bootstrap !== undefined && { bootstrap: values.bootstrap }),
    keep: values.keep,
    onProgress: (line) => console.log(`  ${seconds(begunMs)} s  ${line}`),
  });
  console.log(`${client.name}: ${seconds(begunMs)} s, seed ${seed}`);
  for (const [what, count] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
    console.log(`  ${what.padEnd(56)} ${String(count).padStart(9)}`);
  }
  for (const [violation, ...alike] of byKind(violations)) {
    console.log(`VIOLATION ${violation}${alike.length > 0 ? ` (and ${alike.length} alike)` : ""}`);
  }
  if (values.keep) console.log(`kept in ${directory}`);
  console.log(`${violations.length} violations`);
  isClean &&= violations.length === 0;
}
process.exit(run === 0 ? 2 : isClean ? 0 : 1);

/** Those that differ in nothing but numbers together. */
function byKind(violations: readonly string[]): Iterable<string[]> {
  return Map.groupBy(violations, (violation) => violation.replaceAll(/\d+/g, "")).values();
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1_000).toFixed(0);
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`${option} takes a number, not ${JSON.stringify(text)}`);
  return process.exit(2);
}
