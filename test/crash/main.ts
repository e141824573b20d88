/**
 * The crash test: `npm run test:crash -- --rounds 20 --seed 1`. Producers write and readers follow while the platform is
 * killed by SIGKILL again and again; nothing acknowledged may be lost, doubled, moved or come back. Exit code 1 on a
 * violation.
 */

import { parseArgs } from "node:util";
import { runCrashTest } from "./run.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    seed: { type: "string" },
    "keep-data": { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("--rounds", values.rounds);
const seed = wholeNumber("--seed", values.seed ?? String(Date.now() % 2 ** 31));
console.log(`seed ${seed}, ${rounds} rounds`);
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
const begunMs = performance.now();
const report = await runCrashTest({
  rounds,
  seed,
  keepData: values["keep-data"],
  onRound: (line) => console.log(line),
});

console.log(`\n${rounds} rounds in ${((performance.now() - begunMs) / 1_000).toFixed(0)} s, seed ${seed}`);
for (const [what, count] of [...report.counts].sort(([a], [b]) => a.localeCompare(b))) {
  console.log(`  ${what.padEnd(44)} ${String(count).padStart(9)}`);
}
for (const violation of report.violations) console.log(`VIOLATION ${violation}`);
if (values["keep-data"]) console.log(`data: ${report.dataDir}`);
console.log(report.violations.length === 0 ? "0 violations" : `${report.violations.length} violations`);
process.exit(report.violations.length === 0 ? 0 : 1);

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0) return number;
  console.error(`${option} takes a whole number, not ${JSON.stringify(text)}`);
  return process.exit(2);
}
