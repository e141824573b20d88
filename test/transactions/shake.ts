import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../crash/random.ts";
import type { Workers } from "./workers.ts";

export interface Shaking {
  readonly workers: Workers;
  readonly random: Random;
  /** Around so many workers live. */
  readonly count: number;
}

const PAUSE_MS = { least: 1_000, most: 6_000 } as const;
/** A new worker comes so long after one has gone. */
const REPLACE_MS_MAX = 4_000;
/** Around the end of its session, and of its transaction's time. */
const FREEZE_MS = { least: 4_000, most: 14_000 } as const;
const KILL_PROBABILITY = 0.5;
const STOP_PROBABILITY = 0.15;
const FREEZE_PROBABILITY = 0.2;

/** Kills workers, lets them end, freezes them, and adds new ones, until the time is over. */
export async function shakeFor(ms: number, shaking: Shaking): Promise<void> {
  const { random } = shaking;
  const untilMs = performance.now() + ms;
  const coming: Promise<void>[] = [];
  for (;;) {
    const pauseMs = random.integer(PAUSE_MS.least, PAUSE_MS.most);
    if (performance.now() + pauseMs > untilMs) break;
    await delay(pauseMs);
    coming.push(shakeOnce(shaking));
  }
  await delay(untilMs - performance.now());
  await Promise.all(coming);
}

/** Resolves when whoever was to come has come, and whoever was frozen goes on. */
async function shakeOnce({ workers, random, count }: Shaking): Promise<void> {
  const draw = random.next();
  // Workers also end by themselves, when they find that they are fenced.
  if (workers.alive.length < count - 1) return workers.fill(count);
  const [first, ...others] = await workers.joined();
  if (first === undefined) return;
  const worker = random.pick([first, ...others]);
  const replaceMs = random.integer(0, REPLACE_MS_MAX);
  const freezeMs = random.integer(FREEZE_MS.least, FREEZE_MS.most);
  if (draw < FREEZE_PROBABILITY) return worker.freeze(freezeMs);
  if (draw < FREEZE_PROBABILITY + KILL_PROBABILITY) await worker.kill();
  else if (draw < FREEZE_PROBABILITY + KILL_PROBABILITY + STOP_PROBABILITY) void worker.stop();
  else if (workers.alive.length < count + 2) return workers.add();
  await delay(replaceMs);
  if (workers.alive.length < count) workers.add();
}
