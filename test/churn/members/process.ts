/** What members that are processes have in common. */

import { writeSync } from "node:fs";
import type { MemberTarget } from "../member.ts";
import { Report } from "./report.ts";

/** What it was started with, in the order of `argumentsOf` in clients.ts. */
export function memberArguments(): MemberTarget {
  const [bootstrap = "", topic = "", group = "", protocol = "", url = ""] = process.argv.slice(2);
  return { bootstrap, topic, group, protocol, url };
}

const SESSION_TIMEOUT_MS = 6_000;
/** For members that say it themselves; those of KIP-848 are told by the cluster. */
export const TIMES = {
  sessionTimeoutMs: SESSION_TIMEOUT_MS,
  heartbeatIntervalMs: 1_000,
  rebalanceTimeoutMs: 20_000,
  fetchWaitMs: 250,
} as const;

/** Every event is written when its call returns: by no stream, which would keep lines back that a killed process has said. */
export function stdoutReport(): Report {
  return new Report((line) => {
    writeSync(1, line);
  });
}

/** Runs it at the first SIGTERM, then ends the process. */
export function onStop(leave: () => Promise<unknown>): void {
  process.once("SIGTERM", () => {
    void leave().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
