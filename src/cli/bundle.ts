/** The Worker as one ES module, ready for workerd. */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuildOptions } from "esbuild";
import { CliError } from "./errors.ts";

/** Where package.json and wrangler.toml are: two levels above this file in the repository, beside dist/ when published. */
export const PACKAGE_ROOT = packageRoot();

/**
 * Bundles the Worker from its source; the published package has no source and brings the bundle along.
 *
 * @param entry another Worker's source, for tests
 */
export async function bundleWorker(entry: string = join(PACKAGE_ROOT, "src/worker.ts")): Promise<string> {
  return existsSync(entry) ? bundle(entry) : readFile(join(PACKAGE_ROOT, "dist/worker.js"), "utf8");
}

async function bundle(entry: string): Promise<string> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({ ...workerBuild(), entryPoints: [entry], write: false }).catch(
    unbuilt,
  );
  const [output] = outputFiles ?? [];
  if (output === undefined) throw new Error(`esbuild made nothing of ${entry}`);
  return output.text;
}

/** Mostly the sources were updated and the packages they need were not. */
function unbuilt(error: Error): never {
  throw new CliError(`The Worker cannot be built; "npm ci" installs what it needs. ${error.message}`, {
    cause: error,
  });
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

function packageRoot(): string {
  for (const up of ["../..", "..", "."]) {
    const candidate = fileURLToPath(new URL(`${up}/`, import.meta.url).href);
    if (existsSync(join(candidate, "wrangler.toml"))) return candidate;
  }
  throw new Error("wrangler.toml is missing from the edgelog package; install it again");
}
