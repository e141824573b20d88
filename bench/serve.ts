/** `edgelog serve` on a free port, as a process of its own. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url).href);

export interface Served {
  readonly url: string;
  stop(): Promise<void>;
}

export async function serve(dataDir: string): Promise<Served> {
  const args = ["serve", "--port", "0", "--kafka-port", "0", "--data", dataDir, "--json", "--quiet"];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  process.once("exit", () => child.kill());
  const stop = async () => {
    child.kill();
    await ended;
  };
  for await (const line of createInterface(child.stdout)) return { url: JSON.parse(line).url, stop };
  throw new Error("edgelog serve did not start");
}
