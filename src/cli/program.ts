/** The commands and what they have in common. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { PACKAGE_ROOT } from "./bundle.ts";
import { addCompletion } from "./commands/completion.ts";
import { addConsume } from "./commands/consume.ts";
import { addGroup } from "./commands/group.ts";
import { addProduce } from "./commands/produce.ts";
import { addServe } from "./commands/serve.ts";
import { addTopic } from "./commands/topic.ts";
import { addTunnel } from "./commands/tunnel.ts";

export function createProgram(): Command {
  const program = new Command("edgelog")
    .description("Kafka's commit log on Cloudflare Workers")
    .version(packageVersion())
    .exitOverride()
    .showHelpAfterError("(--help shows what is possible)");
  addServe(program);
  addTopic(program);
  addProduce(program);
  addConsume(program);
  addGroup(program);
  addTunnel(program);
  addCompletion(program);
  return program;
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8"));
  const known = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return known ? String(manifest.version) : "unknown";
}
