import type { Command } from "commander";
import { type ConnectionOptions, connect, withConnection } from "../connection.ts";
import { printJson, printLine } from "../output.ts";

export function addTopicList(topic: Command): void {
  withConnection(topic.command("list")).description("print the names of all topics, one a line").action(list);
}

async function list(options: ConnectionOptions): Promise<void> {
  for await (const topic of (await connect(options)).topics.list()) {
    await (options.json ? printJson(topic) : printLine(topic.name));
  }
}
