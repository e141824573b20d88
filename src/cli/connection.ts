/** How a command reaches the cluster: the same options everywhere. */

import { type Command, Option } from "commander";
import { Edgelog } from "../client/edgelog.ts";
import { CliError, isErrorCode, UsageError } from "./errors.ts";

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

/** A client of the cluster, after a look whether it is there: the SDK itself would retry for half a minute. */
export async function connect({ url, token }: ConnectionOptions): Promise<Edgelog> {
  const client = newClient(url, token);
  try {
    await fetch(new URL("healthz", url.endsWith("/") ? url : `${url}/`), {
      signal: AbortSignal.timeout(REACH_TIMEOUT_MS),
    });
  } catch (error) {
    throw new CliError(
      `${url} does not answer (${reasonOf(error)}).\n` +
        'Is the cluster running? "edgelog serve" starts one here; --url or EDGELOG_URL names another.',
      { cause: error },
    );
  }
  return client;
}

/** @throws {UsageError} a url or token that can be none */
export function checkUrl({ url, token }: ConnectionOptions): void {
  newClient(url, token);
}

function newClient(url: string, token: string | undefined): Edgelog {
  try {
    return new Edgelog({ url, ...(token ? { token } : {}) });
  } catch (error) {
    if (error instanceof Error && isErrorCode(error, "INVALID_REQUEST")) throw new UsageError(error.message);
    throw error;
  }
}

const REACH_TIMEOUT_MS = 10_000;

/** fetch says only "fetch failed"; what went wrong is in the cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if ("code" in error && error.code === "ERR_SSL_WRONG_VERSION_NUMBER") return "it speaks http:, not https:";
  if ("code" in error && error.code === "UND_ERR_SOCKET")
    return "it closes the connection, as a Kafka port does";
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0]);
  return cause instanceof Error ? reasonOf(cause) : error.message;
}
