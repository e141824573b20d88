/** `edgelog serve` and `edgelog tunnel` as processes of their own, on free ports and in a directory that goes with them. */

import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { end, start } from "../cli/edgelog.ts";
import type { Target } from "./client.ts";

export const ROUTES = ["tcp", "sasl", "tunnel"] as const;
export type Route = (typeof ROUTES)[number];

const TOKEN = "a-token-of-this-cluster";

export interface RunningCluster {
  readonly target: Target;
  stop(): Promise<void>;
}

/** Reached over `tcp`, as three brokers; over TCP with SASL PLAIN (`sasl`); or through `edgelog tunnel`, as two. */
export async function startCluster(route: Route): Promise<RunningCluster> {
  const dataDir = await mkdtemp(join(tmpdir(), "edgelog-clients-"));
  const processes: ChildProcess[] = [];
  const stop = async () => {
    for (const child of processes.reverse()) await end(child);
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  };
  const env = route === "tcp" ? {} : { EDGELOG_ROOT_TOKEN: TOKEN };
  const brokers = Array.from({ length: route === "tcp" ? 3 : 1 }, () => ["--kafka-port", "0"]).flat();
  const ports = ["--port", "0", ...brokers, "--group-initial-rebalance-delay", "0"];
  try {
    const served = await listeners(
      processes,
      ["serve", ...ports, "--data", dataDir, "--json", "--quiet"],
      env,
    );
    const target = { route, url: served.url, bootstrap: served.kafka.join(","), dataDir };
    if (route === "tcp") return { target, stop };
    const token = TOKEN;
    if (route === "sasl") {
      return { target: { ...target, token, sasl: { username: "token", password: token } }, stop };
    }
    const listen = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    const tunnel = ["tunnel", ...listen, "--url", served.url, "--json"];
    const { kafka } = await listeners(processes, tunnel, { EDGELOG_TOKEN: token });
    return { target: { ...target, token, bootstrap: kafka.join(",") }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Listeners {
  readonly url: string;
  readonly kafka: readonly string[];
}

/** Starts it and reads the line in which it tells its listeners. */
async function listeners(
  processes: ChildProcess[],
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Listeners> {
  const child = start(args, env);
  processes.push(child);
  let errors = "";
  child.stderr?.on("data", (chunk) => {
    errors += chunk;
  });
  if (child.stdout !== null) {
    for await (const line of createInterface(child.stdout)) return JSON.parse(line);
  }
  throw new Error(`edgelog ${args[0]} did not start: ${errors}`);
}
