import { expect, test } from "vitest";
import { runCrashTest } from "./run.ts";

test("a platform that is killed again and again keeps every acknowledged record, once, where its ack said", async () => {
  const seed = Date.now() % 2 ** 31;
  console.log(`crash test with seed ${seed}; npm run test:crash -- --seed ${seed} draws the same`);
  const { violations, counts } = await runCrashTest({ rounds: 3, seed });
  expect(violations).toEqual([]);
  expect(counts.get("kills")).toBe(3);
  expect(counts.get("records verified")).toBeGreaterThan(0);
}, 240_000);
