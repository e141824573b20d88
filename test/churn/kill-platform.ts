/** The whole platform is killed while the group rebalances; the group must go on by itself when it is back. */

import { setTimeout as delay } from "node:timers/promises";
import { listGroupsApi } from "../../src/kafka/messages/list-groups.ts";
import type { CommittedOffsetsWatch } from "./committed-offsets.ts";
import type { Connection } from "./connection.ts";
import type { ChurnPlatform } from "./platform.ts";
import type { Records } from "./records.ts";
import { type Shaking, shakeOnce } from "./shake.ts";

export interface PlatformKilling extends Shaking {
  readonly platform: ChurnPlatform;
  readonly connection: Connection;
  readonly group: string;
  readonly records: Records;
  readonly watch: CommittedOffsetsWatch;
  readonly onKill: (line: string) => void;
}

/** For a rebalance to begin: a killed member is missed only when its session has ended. */
const REBALANCE_MS_MAX = 15_000;
/** So long after it has begun the platform is killed, at most; more often soon than late, because some are over in 20 ms. */
const INTO_REBALANCE_MS_MAX = 400;
/** Until every partition goes on again. */
const RECOVERY_MS_MAX = 90_000;
const LOOK_MS = 10;

/** Returns what is wrong. */
export async function killPlatform(times: number, killing: PlatformKilling): Promise<string[]> {
  const { platform, random, onKill } = killing;
  const wrong: string[] = [];
  if (!(await goesOn(killing))) return ["the group did not begin"];
  for (let kill = 1; kill <= times; kill++) {
    const come = shakeOnce(killing);
    const state = await rebalancing(killing);
    await delay(INTO_REBALANCE_MS_MAX ** random.next() - 1);
    await platform.kill();
    await platform.start();
    const backMs = performance.now();
    await come;
    const isBack = await goesOn(killing);
    const line = `kill ${kill} (${state}): ${isBack ? "every partition goes on after" : "NOT every partition goes on within"} ${((performance.now() - backMs) / 1_000).toFixed(1)} s`;
    onKill(line);
    if (!isBack) wrong.push(line);
  }
  return wrong;
}

/** The group's state once it is no longer at rest. */
async function rebalancing({ connection, group }: PlatformKilling): Promise<string> {
  const untilMs = performance.now() + REBALANCE_MS_MAX;
  for (;;) {
    const { groups } = await connection.ask(listGroupsApi, 5, { statesFilter: [], typesFilter: [] });
    const state = groups.find(({ groupId }) => groupId === group)?.groupState ?? "none";
    if ((state !== "Stable" && state !== "none") || performance.now() > untilMs) return state;
    await delay(LOOK_MS);
  }
}

/** Whether, of every partition, more is committed than was when this was called, or all that there is. */
async function goesOn({ watch, records, crowd, members }: PlatformKilling): Promise<boolean> {
  const before = await watch.ask();
  const goesOn = (offsets: readonly number[]) =>
    records.ends.every(
      (end, partition) =>
        (offsets[partition] ?? -1) > (before[partition] ?? -1) || offsets[partition] === end,
    );
  const untilMs = performance.now() + RECOVERY_MS_MAX;
  await watch.until((offsets) => {
    // Some clients end when they cannot find the coordinator for a while; whatever runs them starts them again.
    crowd.fill(members);
    return goesOn(offsets) || performance.now() > untilMs;
  });
  return goesOn(watch.last);
}
