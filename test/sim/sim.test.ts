import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url).href);
const SEEDS = 25;

/** In a process of its own: the simulation takes the clock and the timers away. */
function simulate(...options: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...options], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, output: `${stdout}${stderr}` }),
    );
  });
}

test(`whatever fails, ${SEEDS} simulated clusters keep what they have acknowledged, once, in order and in real time`, async () => {
  const seed = Date.now() % 2 ** 31;
  const { code, output } = await simulate("--seeds", String(SEEDS), "--seed", String(seed));
  expect(output).toContain("0 violations");
  expect(Number(/ acks +(\d+)/.exec(output)?.[1])).toBeGreaterThan(SEEDS);
  expect(code).toBe(0);
});

test.each([
  ["logs", "6"],
  ["transactions", "7"],
])("a seed replays a run of %s exactly", async (_, seed) => {
  const options = ["--seeds", "1", "--seed", seed, "--notes"];
  const [one, other] = await Promise.all([simulate(...options), simulate(...options)]);
  const events = ({ output }: { output: string }) => output.replace(/\d+ seeds a minute.*/, "");
  expect(events(one)).toBe(events(other));
  expect(one.output).toMatch(/is acknowledged at/);
});
