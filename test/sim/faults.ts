/** How bad a day it is: what goes wrong, and how often. One seed draws one day. */

import type { Random } from "../crash/random.ts";

export interface Faults {
  /** Of commits: the object is thrown away, whether or not the commit has been made. */
  readonly commitFails: number;
  /** Of statements that write: SQLite refuses them, and sometimes throws the object away for it. */
  readonly statementFails: number;
  /** Between any two events: some object loses its memory, and what is not durable with it. */
  readonly kills: number;
  /** … its place to another instance, and does not know it yet. */
  readonly replacements: number;
  /** … its memory, while it has nothing to do. */
  readonly evictions: number;
  /** Of answers to a front end that never come. */
  readonly answersLost: number;
  /** Of requests that arrive twice. */
  readonly requestsRepeated: number;
  /** Of requests that take {@link LATE_MS_MAX} instead of {@link NETWORK_MS_MAX}, and so may come after what was asked later. */
  readonly requestsLate: number;
  /** Of calls to R2: refused, broken off half way, or done and not answered. */
  readonly bucketFails: number;
  /** Of calls to R2 that take {@link SLOW_BUCKET_MS_MAX}. */
  readonly bucketSlow: number;
  /** What an object had asked of R2 may come true after the object is gone. Who bounds that by time needs a clock. */
  readonly bucketOutlives: boolean;
  /** Of events: some object's clock jumps. */
  readonly clockJumps: number;
  /** How long a commit takes at most, in ms. */
  readonly commitMsMax: number;
}

export const NETWORK_MS_MAX = 4;
export const LATE_MS_MAX = 3_000;
export const BUCKET_MS_MAX = 30;
export const SLOW_BUCKET_MS_MAX = 15_000;
export const CLOCK_JUMP_MS_MAX = 3_000_000;

export const NO_FAULTS: Faults = {
  commitFails: 0,
  statementFails: 0,
  kills: 0,
  replacements: 0,
  evictions: 0,
  answersLost: 0,
  requestsRepeated: 0,
  requestsLate: 0,
  bucketFails: 0,
  bucketSlow: 0,
  bucketOutlives: false,
  clockJumps: 0,
  commitMsMax: 3,
};

export function drawFaults(random: Random): Faults {
  const often = (...choices: [number, ...number[]]) => random.pick(choices);
  const clockJumps = often(0, 0, 0.002);
  return {
    commitFails: often(0, 0.001, 0.02),
    statementFails: often(0, 0, 0.002),
    kills: often(0, 0.001, 0.005, 0.02),
    replacements: often(0, 0.001, 0.01),
    evictions: often(0, 0.01, 0.05),
    answersLost: often(0, 0.02, 0.2),
    requestsRepeated: often(0, 0.02, 0.2),
    requestsLate: often(0, 0.02, 0.1),
    bucketFails: often(0, 0.05, 0.3, 0.6),
    bucketSlow: often(0, 0.05, 0.3),
    bucketOutlives: clockJumps === 0,
    clockJumps,
    commitMsMax: often(1, 5, 40, 400),
  };
}
