/** How a command reaches the cluster: the same options everywhere. */

import { type Command, Option } from "commander";
import { Edgelog } from "../client/edgelog.ts";

export interface ConnectionOptions {
  readonly url: string;
  readonly token?: string;
  readonly json?: boolean;
}

/** Adds --url, --token and --json. */
export function withConnection(command: Command): Command {
  return command
    .addOption(
      new Option("--url <url>", "where the cluster is").env("EDGELOG_URL").default("http://127.0.0.1:8787"),
    )
    .addOption(new Option("--token <token>", "the cluster's token").env("EDGELOG_TOKEN"))
    .option("--json", "print JSON, one value a line");
}

export function connect({ url, token }: ConnectionOptions): Edgelog {
  return new Edgelog({ url, ...(token ? { token } : {}) });
}
