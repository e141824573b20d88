import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Platform, startPlatform } from "../../src/cli/platform.ts";
import type { Topic } from "../../src/model/topic.ts";
import { inTemporaryDirectory } from "./directories.ts";

/** Names of the files in bench/workers/. */
export type WorkerName = "bare" | "counting" | "driven" | "evicting";

/** Runs with a platform of its own, on free ports, whose Worker is one of bench/workers/, or the real one. */
export function withPlatform<T>(
  worker: WorkerName | "edgelog",
  run: (platform: RunningPlatform) => Promise<T>,
): Promise<T> {
  return inTemporaryDirectory(worker, async (dataDir) => {
    const entry = fileURLToPath(new URL(`../workers/${worker}.ts`, import.meta.url).href);
    const platform = await startPlatform({
      port: 0,
      kafkaPorts: [0],
      dataDir,
      quiet: true,
      ...(worker !== "edgelog" && { entry }),
    });
    try {
      const [kafkaAddress = ""] = platform.kafkaAddresses;
      const workerdPid = Number(await readFile(join(dataDir, "workerd.pid"), "utf8"));
      return await run({ ...platform, kafkaAddress, workerdPid, dataDir });
    } finally {
      await platform.stop();
    }
  });
}

export interface RunningPlatform extends Platform {
  readonly kafkaAddress: string;
  readonly workerdPid: number;
  readonly dataDir: string;
}

export async function createTopic(
  { url }: RunningPlatform,
  name: string,
  partitions: number,
  configs: Readonly<Record<string, string>> = {},
): Promise<Pick<Topic, "id" | "version">> {
  const body = JSON.stringify({ name, partitions, configs });
  const headers = { "content-type": "application/json" };
  return await answerOf(await fetch(`${url}/v1/topics`, { method: "POST", headers, body }));
}

export async function deleteTopic({ url }: RunningPlatform, name: string): Promise<void> {
  const response = await fetch(`${url}/v1/topics/${name}`, { method: "DELETE" });
  await response.arrayBuffer();
}

/** @throws {Error} the answer is not a success */
export async function answerOf(response: Response) {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
