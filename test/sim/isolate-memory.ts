/** What all objects of an isolate share, made anew for each seed. Stands in for two modules, see isolate.ts. */

import { TailCache } from "../../durable-objects/partition/tail-cache.ts";
import { UnsentBudget } from "../../src/subscribe/unsent-budget.ts";
import type { Random } from "../crash/random.ts";

export * from "../../durable-objects/partition/tail-cache.ts";
export * from "../../src/subscribe/unsent-budget.ts";

export let isolateTailCache = new TailCache(0);
export let isolateBudget = new UnsentBudget(0);

export function newIsolateMemory(random: Random): void {
  isolateTailCache = new TailCache(random.pick([0, 2_000, 20_000, 16_000_000]));
  isolateBudget = new UnsentBudget(random.pick([2_000, 20_000, 32_000_000]));
}
