#!/usr/bin/env node
// Starts the command: from its TypeScript source in the repository, from dist/ in the published package.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const fromRoot = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url).href);

const source = fromRoot("src/cli/main.ts");
const main = existsSync(source) ? source : fromRoot("dist/cli/main.js");

if (main !== source && typeof WebSocket === "undefined") {
  // Node 20 has a WebSocket, behind a flag.
  runIn(process.execPath, ["--experimental-websocket", "--no-warnings", main]);
} else if (main === source && !process.features.typescript) {
  // The package `node`, a devDependency, is one that can run TypeScript.
  runIn(fromRoot("node_modules/node/bin/node"), [main]);
} else {
  await import(pathToFileURL(main).href);
}

/** The channel to the child tells it when we are gone, however we went. */
function runIn(node, args) {
  const child = spawn(node, [...args, ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  child.on("error", (error) => {
    process.stderr.write(`edgelog: ${node} does not run (${error.message}); run npm ci, or use Node 24\n`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exitCode = code ?? 1;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, () => child.kill(name));
}
