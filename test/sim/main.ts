/**
 * The simulation: `npm run test:sim -- --seeds 1000 --seed 1`. Each seed runs the Durable Objects of a small cluster in a
 * platform that fails in every way a platform may, and checks what its clients were told. `--notes` tells what happened.
 * Exit code 1 on a violation; the seed that is printed replays it exactly.
 */

import "./isolate.ts";
import { parseArgs } from "node:util";

const { runSeed } = await import("./run.ts");

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    seed: { type: "string" },
    notes: { type: "boolean", default: false },
    /** Go on after a violation. */
    all: { type: "boolean", default: false },
  },
});
const seeds = wholeNumber("--seeds", values.seeds);
const first = wholeNumber("--seed", values.seed ?? String(process.hrtime.bigint() % 1_000_000_000n));
const say = (line: string) => process.stdout.write(`${line}\n`);

say(`${seeds} seeds from ${first}`);
// What the test does to the platform is thrown all the time.
if (!values.notes) Error.stackTraceLimit = 0;
const begunMs = performance.now();
const totals = new Map<string, number>();
let events = 0;
let violated = 0;
for (let seed = first; seed < first + seeds; seed++) {
  const report = await runSeed(seed, values.notes);
  events += report.events;
  for (const [what, count] of report.counts) totals.set(what, (totals.get(what) ?? 0) + count);
  if (report.violations.length > 0) {
    violated++;
    say(report.notes.join("\n"));
    for (const violation of report.violations) say(`VIOLATION seed ${seed}: ${violation}`);
    if (!values.all) break;
  } else if (values.notes && seeds === 1) say(report.notes.join("\n"));
  if ((seed - first + 1) % 1_000 === 0) say(`${seed - first + 1} seeds, ${rate(seed - first + 1)}`);
}
for (const [what, count] of [...totals].sort(([a], [b]) => a.localeCompare(b))) {
  say(`  ${what.padEnd(44)} ${String(count).padStart(10)}`);
}
say(`  ${"events".padEnd(44)} ${String(events).padStart(10)}`);
say(violated === 0 ? `0 violations, ${rate(seeds)}` : `${violated} seeds with violations`);
process.exit(violated === 0 ? 0 : 1);

function rate(done: number): string {
  const { user, system } = process.cpuUsage();
  const perMinute = (ms: number) => Math.round(done / (ms / 60_000));
  return `${perMinute(performance.now() - begunMs)} seeds a minute, ${perMinute((user + system) / 1_000)} a minute of CPU`;
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0) return number;
  say(`${option} takes a whole number, not ${JSON.stringify(text)}`);
  return process.exit(2);
}
