/** The Worker as one ES module, ready for workerd. */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuildOptions } from "esbuild";

/** Where package.json and wrangler.toml are: two levels above this file in the repository, beside dist/ when published. */
export const PACKAGE_ROOT = packageRoot();

export interface WorkerBundle {
  readonly code: string;
  /** Whether the Worker has a `connect` handler, so that a TCP port would be answered. */
  readonly acceptsTcp: boolean;
}

/**
 * Bundles the Worker from its source; the published package has no source and brings the bundle along.
 *
 * @param entry another Worker's source, for tests
 */
export async function bundleWorker(
  entry: string = join(PACKAGE_ROOT, "src/worker.ts"),
): Promise<WorkerBundle> {
  const prebuilt = join(PACKAGE_ROOT, "dist/worker.js");
  const code = existsSync(entry) ? await bundle(entry) : await readFile(prebuilt, "utf8");
  return { code, acceptsTcp: hasConnectHandler(code) };
}

async function bundle(entry: string): Promise<string> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({ ...workerBuild(), entryPoints: [entry], write: false });
  const [output] = outputFiles ?? [];
  if (output === undefined) throw new Error(`esbuild made nothing of ${entry}`);
  return output.text;
}

/** The same for `serve` from source and for the package's dist/worker.js. */
export function workerBuild(): BuildOptions {
  return {
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    logLevel: "silent",
  };
}

/** esbuild keeps the default export of the entry as one object literal, so its handlers can be read off. */
function hasConnectHandler(code: string): boolean {
  const worker = code.match(/\bvar \w+_default = \{[\s\S]*?\n\};/g)?.at(-1) ?? "";
  return /^ {2}(async )?\*?connect\b/m.test(worker);
}

function packageRoot(): string {
  for (const up of ["../..", "..", "."]) {
    const candidate = fileURLToPath(new URL(`${up}/`, import.meta.url).href);
    if (existsSync(join(candidate, "wrangler.toml"))) return candidate;
  }
  throw new Error("wrangler.toml is missing from the edgelog package; install it again");
}
