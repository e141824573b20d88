import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Platform, startPlatform } from "../../src/cli/platform.ts";
import { fuzzHttp } from "./http.ts";
import { fuzzSockets } from "./socket.ts";

const CASES = 1_000;
const SOCKET_CASES = 200;
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);

let dataDir: string;
let platform: Platform;

beforeAll(async () => {
  console.log(`FUZZ_SEED=${seed}`);
  dataDir = await mkdtemp(join(tmpdir(), "edgelog-fuzz-"));
  platform = await startPlatform({ port: 0, dataDir, quiet: true });
});

afterAll(async () => {
  await platform?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

test(`of ${CASES} random requests the valid do what they say, and the others get a 4xx and change nothing`, {
  timeout: 300_000,
}, async () => {
  const { valid, invalid, records, statuses } = await fuzzHttp({ url: platform.url, cases: CASES, seed });
  expect(valid).toBeGreaterThan(CASES / 4);
  expect(invalid).toBeGreaterThan(CASES / 4);
  expect(records).toBeGreaterThan(CASES / 10);
  expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
});

test(`of ${SOCKET_CASES} random subscriptions the valid deliver everything in order, and the others are refused by name`, {
  timeout: 300_000,
}, async () => {
  const { valid, invalid, records } = await fuzzSockets({ url: platform.url, cases: SOCKET_CASES, seed });
  expect(valid).toBeGreaterThan(SOCKET_CASES / 5);
  expect(invalid).toBeGreaterThan(SOCKET_CASES / 5);
  expect(records).toBeGreaterThan(SOCKET_CASES);
});
