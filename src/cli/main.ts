/** The `edgelog` command. Data goes to stdout, everything else to stderr; exit code 0, 1 (failed) or 2 (usage). */

import { CommanderError } from "commander";
import { EdgelogError } from "../model/errors.ts";
import { BATCH_BYTES_MAX } from "../model/limits.ts";
import { CliError } from "./errors.ts";
import { OutputClosedError } from "./output.ts";
import { createProgram } from "./program.ts";

// `edgelog consume … | head` is no failure: a write to the closed pipe is noticed where the data is written.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

// bin/edgelog.js may run us in a Node of its own choice; when it ends, so do we.
if (process.channel !== undefined) {
  process.channel.unref();
  process.once("disconnect", () => process.exit(1));
}

try {
  await createProgram().parseAsync();
} catch (error) {
  // Not only the code: whatever else was begun would keep the process alive.
  process.exit(report(error));
}

function report(error: unknown): number {
  if (error instanceof OutputClosedError) return 0;
  if (error instanceof CommanderError) return reportUsage(error);
  if (error instanceof CliError) return say(error.message, error.exitCode);
  if (error instanceof EdgelogError) return say(advice(error), 1);
  return say(error instanceof Error ? (error.stack ?? error.message) : String(error), 1);
}

/** Commander has printed it, with help or a suggestion. */
function reportUsage({ code, exitCode }: CommanderError): number {
  const comesBeforeCommand = process.argv[2]?.startsWith("-") === true;
  if (code === "commander.unknownOption" && comesBeforeCommand) {
    process.stderr.write(
      "Options follow the command, as in: edgelog topic list --url http://127.0.0.1:8787\n",
    );
  }
  return exitCode === 0 ? 0 : 2;
}

function say(message: string, exitCode: number): number {
  process.stderr.write(`edgelog: ${message}\n`);
  return exitCode;
}

function advice({ code, message }: EdgelogError): string {
  if (code === "NETWORK_EXCEPTION") {
    return `${message}\nIs the cluster running? "edgelog serve" starts one here; --url or EDGELOG_URL names another.`;
  }
  if (code === "SASL_AUTHENTICATION_FAILED") {
    return `${message}\nPass the cluster's token with --token or EDGELOG_TOKEN.`;
  }
  if (code === "UNKNOWN_TOPIC_OR_PARTITION") {
    return `${message}\n"edgelog topic list" shows the topics there are, "edgelog topic describe" a topic's partitions, "edgelog topic create" makes one.`;
  }
  if (code === "GROUP_ID_NOT_FOUND") {
    return `${message}\n"edgelog group list" shows the groups there are.`;
  }
  if (code === "NON_EMPTY_GROUP" || code === "GROUP_SUBSCRIBED_TO_TOPIC") {
    return `${code}: ${message}\n"edgelog group describe --members" shows the members.`;
  }
  if (code === "INVALID_CONFIG") {
    return `${code}: ${message}\n"edgelog topic describe --all-configs <topic>" shows the configs there are.`;
  }
  if (code === "MESSAGE_TOO_LARGE") {
    return `${code}: ${message}\n"edgelog topic alter <topic> --config max.message.bytes=${BATCH_BYTES_MAX}" allows as much as there can be.`;
  }
  if (code === "TOPIC_ALREADY_EXISTS") {
    return `${code}: ${message}\n"edgelog topic alter" changes it; with --if-not-exists this is no error.`;
  }
  return `${code}: ${message}`;
}
