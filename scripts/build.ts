/**
 * `npm run build`: what the package publishes. The SDK, the command and the Worker, each as one file, the SDK's types, and
 * the notices of the packages that are in these files.
 * The SDK's file holds all that it needs, so that a web page can import it as it is.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type BuildOptions, build } from "esbuild";
import { workerBuild } from "../src/cli/bundle.ts";
import { notices } from "./notices.ts";

const shared = { bundle: true, format: "esm", logLevel: "info", metafile: true } satisfies BuildOptions;

rmSync("dist", { recursive: true, force: true });
const builds = await Promise.all([
  build({
    ...shared,
    entryPoints: ["src/client/index.ts"],
    outfile: "dist/client/index.js",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2022",
    sourcemap: true,
    keepNames: true,
  }),
  build({
    ...shared,
    entryPoints: ["src/cli/main.ts"],
    outfile: "dist/cli/main.js",
    platform: "node",
    packages: "external",
    target: "node20",
  }),
  build({ ...workerBuild(), ...shared, entryPoints: ["src/worker.ts"], outfile: "dist/worker.js" }),
]);
writeFileSync("dist/THIRD-PARTY-NOTICES.txt", notices(builds.map(({ metafile }) => metafile)));
copyFileSync("src/cli/workerd.sh", "dist/cli/workerd.sh");
execFileSync("tsc", ["--project", "scripts/tsconfig.types.json"], { stdio: "inherit" });

// `await using` is in the SDK's types; who compiles for an older library must not trip over it.
const types = "dist/client/index.d.ts";
writeFileSync(types, `/// <reference lib="esnext.disposable" />\n${readFileSync(types, "utf8")}`);
