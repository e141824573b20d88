/** A topic whose records are soon in R2 only. */

import { runDurableObjectAlarm } from "cloudflare:test";
import { unwrap } from "../../src/model/errors.ts";
import type { Topic } from "../../src/model/topic.ts";
import { leaderOf } from "../partition/support.ts";

/** Segments of a few records, which leave SQLite as soon as they are in R2. */
export const TINY = {
  "segment.bytes": "1000",
  "local.retention.ms": "0",
  "edgelog.local.drop.delay.ms": "0",
  "file.delete.delay.ms": "0",
};

/** Housekeeping until it has nothing more to do at once. */
export async function tier(topic: Topic, partition = 0): Promise<void> {
  for (let i = 0; i < 5; i++) await runDurableObjectAlarm(leaderOf(topic, partition));
}

export async function earliestLocal(topic: Topic): Promise<number> {
  return unwrap(await leaderOf(topic).describe({ topicVersion: topic.version })).earliestLocalOffset;
}
