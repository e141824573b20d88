import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../crash/random.ts";
import type { Crowd } from "./crowd.ts";

export interface Shaking {
  readonly crowd: Crowd;
  readonly random: Random;
  /** Around so many members live. */
  readonly members: number;
}

const PAUSE_MS = { least: 1_500, most: 9_000 } as const;
/** A new member comes so long after one has gone. */
const REPLACE_MS_MAX = 4_000;
const KILL_PROBABILITY = 0.6;
const STOP_PROBABILITY = 0.2;

/** Kills members, lets them leave, and adds new ones, until the time is over; then there are as many as there should be. */
export async function shakeFor(ms: number, shaking: Shaking): Promise<void> {
  const { crowd, random, members } = shaking;
  const untilMs = performance.now() + ms;
  const coming: Promise<void>[] = [];
  for (;;) {
    const pauseMs = random.integer(PAUSE_MS.least, PAUSE_MS.most);
    if (performance.now() + pauseMs > untilMs) break;
    await delay(pauseMs);
    coming.push(shakeOnce(shaking));
  }
  await Promise.all(coming);
  crowd.fill(members);
}

/** Resolves when whoever was to come has come. */
export async function shakeOnce({ crowd, random, members }: Shaking): Promise<void> {
  const draw = random.next();
  // Members may also have ended by themselves.
  if (crowd.alive.length < members - 2) return crowd.fill(members);
  if (draw >= KILL_PROBABILITY + STOP_PROBABILITY && crowd.alive.length < members + 2) {
    crowd.add();
    return;
  }
  const [first, ...others] = await crowd.joined();
  if (first === undefined) return;
  const member = random.pick([first, ...others]);
  const replaceMs = random.integer(0, REPLACE_MS_MAX);
  if (draw < KILL_PROBABILITY) await member.kill();
  else void member.stop();
  await delay(replaceMs);
  if (crowd.alive.length < members) crowd.add();
}
