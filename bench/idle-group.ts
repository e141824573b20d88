/**
 * Whether a group sleeps while nothing happens, with all its members connected:
 * `npx node bench/idle-group.ts [--members 100] [--minutes 10] [--json]`.
 *
 * Its coordinator writes down whatever wakes it (workers/waking.ts). Awake it is from an event until it leaves memory, some
 * seconds later; that it has left is seen by its being made anew for the next event. Exit code 1 if anything woke it.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startPlatform } from "../src/cli/platform.ts";
import { Edgelog } from "../src/client/index.ts";
import type { Wake } from "./workers/waking.ts";

/** Until what the joining has set in motion has come to rest, alarms included. */
const REST_MS = 30_000;

const { values } = parseArgs({
  options: {
    members: { type: "string", default: "100" },
    minutes: { type: "string", default: "10" },
    json: { type: "boolean", default: false },
  },
});
const count = Number(values.members);
const idleMs = Number(values.minutes) * 60_000;

const dataDir = await mkdtemp(join(tmpdir(), "edgelog-idle-"));
const entry = fileURLToPath(new URL("./workers/waking.ts", import.meta.url).href);
const { url, stop } = await startPlatform({ port: 0, dataDir, entry, quiet: true });
try {
  const client = new Edgelog({ url });
  await client.topics.create("idle", { partitions: count });
  const members = Array.from({ length: count }, () =>
    client.consume("idle", { group: "idle", from: "earliest" }),
  );
  await Promise.all(members.map((member) => member.ready()));
  while (members.some((member) => member.assignment().length !== 1)) await delay(100);
  await delay(REST_MS);
  const begunAtMs = Date.now();
  await delay(idleMs);
  const during = (await wakes()).filter(({ atMs }) => atMs >= begunAtMs);
  const connected = members.filter((member) => member.assignment().length === 1).length;
  // And it is there when something happens.
  const calledAtMs = Date.now();
  await members[0]?.close();
  const after = (await wakes()).filter(({ atMs }) => atMs >= calledAtMs);
  const wasGone = after[0]?.what === "made";
  if (values.json) console.log(JSON.stringify({ count, idleMs, connected, during, wasGone }));
  else {
    console.log(
      `${connected} of ${count} members connected, ${idleMs / 1_000} s idle: woken ${during.length} times`,
    );
    for (const { atMs, what } of during) console.log(`  ${what} after ${(atMs - begunAtMs) / 1_000} s`);
    console.log(`made anew for the next event: ${wasGone}`);
  }
  if (during.length > 0 || !wasGone || connected !== count) process.exitCode = 1;
  await Promise.all(members.map((member) => member.close()));
} finally {
  await stop();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

async function wakes(): Promise<Wake[]> {
  const response = await fetch(`${url}/bench/wakes`);
  const list: Wake[] = JSON.parse(await response.text());
  return list;
}
