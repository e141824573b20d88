/** What only `serve` needs: devDependencies of the repository, an optional peer of the published package. */

import { createRequire } from "node:module";
import { CliError } from "./errors.ts";

const INSTALL = "npm install wrangler@4.164.0";

/** Wrangler reads wrangler.toml, and brings the miniflare and the workerd that fit it. */
export interface Runtime {
  readonly wrangler: typeof import("wrangler");
  readonly miniflare: typeof import("miniflare");
  /** The binary. */
  readonly workerdPath: string;
}

/** @throws {CliError} that says what to install, or which Node it takes */
export async function loadRuntime(): Promise<Runtime> {
  const [major = 0] = process.versions.node.split(".").map(Number);
  if (major < 22) {
    throw new CliError(
      `"edgelog serve" needs Node 22.12 or newer; this is ${process.version}. Other commands work.`,
    );
  }
  // Each from where the one before it is: only wrangler is ours to find.
  const fromHere = createRequire(import.meta.url);
  const fromWrangler = createRequire(locate(() => fromHere.resolve("wrangler")));
  const fromMiniflare = createRequire(locate(() => fromWrangler.resolve("miniflare")));
  const workerd: unknown = fromMiniflare("workerd");
  if (typeof workerd !== "object" || workerd === null || !("default" in workerd)) {
    throw new CliError(`The workerd package does not say where its binary is. Install again: ${INSTALL}`);
  }
  return {
    wrangler: await import("wrangler"),
    miniflare: fromWrangler("miniflare"),
    workerdPath: String(workerd.default),
  };
}

function locate(resolve: () => string): string {
  try {
    return resolve();
  } catch (error) {
    if (!isModuleMissing(error)) throw error;
    throw new CliError(
      `"edgelog serve" runs the platform on this machine, for which it needs wrangler. Install it beside edgelog: ${INSTALL}`,
    );
  }
}

function isModuleMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND";
}
