/**
 * The limits of a simulated deployment: those that decide when something happens are drawn anew for each seed, mostly so
 * small that it happens often. Stands in for src/model/limits.ts, see isolate.ts.
 */

import type { Random } from "../crash/random.ts";

export * from "../../src/model/limits.ts";

export let COMMIT_GROUP_BYTES_MAX = 0;
export let PENDING_APPEND_BYTES_MAX = 0;
export let PRODUCER_SNAPSHOT_INTERVAL_FLUSHES = 0;
export let PRODUCER_SNAPSHOT_INTERVAL_BATCHES = 0;
export let LOCAL_BYTES_MAX = 0;
export let LOCAL_BYTES_TARGET = 0;
export let SEGMENT_INDEX_BYTES_MAX = 0;
export let READ_BYTES_MAX = 0;
export let REMOTE_READ_AHEAD_BYTES = 0;
export let SUBSCRIBER_FRAME_BYTES_MAX = 0;
export let WALK_STEP_PARTITIONS = 0;
export let WALK_CONCURRENCY = 0;

const KiB = 1024;

export function drawLimits(random: Random): void {
  COMMIT_GROUP_BYTES_MAX = random.pick([700, 3 * KiB, 1_950_000]);
  PENDING_APPEND_BYTES_MAX = random.pick([4 * KiB, 64 * KiB]);
  PRODUCER_SNAPSHOT_INTERVAL_FLUSHES = random.pick([1, 3, 20, 256]);
  PRODUCER_SNAPSHOT_INTERVAL_BATCHES = random.pick([2, 10, 4_096]);
  LOCAL_BYTES_MAX = random.pick([40 * KiB, 1_024 * KiB]);
  LOCAL_BYTES_TARGET = random.pick([0, 2 * KiB, 16 * KiB]);
  SEGMENT_INDEX_BYTES_MAX = random.pick([60, 4 * KiB]);
  READ_BYTES_MAX = random.pick([1 * KiB, 8 * KiB, 8 * KiB * KiB]);
  REMOTE_READ_AHEAD_BYTES = random.pick([64, 64 * KiB]);
  SUBSCRIBER_FRAME_BYTES_MAX = random.pick([512, 8 * KiB, 256 * KiB]);
  WALK_STEP_PARTITIONS = random.pick([1, 64]);
  WALK_CONCURRENCY = random.pick([1, 16]);
}
