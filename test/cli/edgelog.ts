/** The real command, as a process of its own. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url).href);

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Result {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it to its end. */
export async function edgelog(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = start(args, options.env);
  // It may end before it has read all; how, its exit code tells.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), exit(child)]);
  return { exitCode, stdout, stderr };
}

/** Starts it and leaves the rest to the caller. */
export function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env }, stdio: "pipe" });
}

export interface Served {
  readonly process: ChildProcess;
  readonly url: string;
  /** For {@link edgelog}. */
  readonly env: Readonly<Record<string, string>>;
}

/** `edgelog serve` on a free port, ready. */
export async function serve(
  dataDir: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Served> {
  const child = start(["serve", "--port", "0", "--kafka-port", "0", "--data", dataDir, ...args], env);
  const errors = text(child.stderr);
  const line = await firstLine(child);
  if (line === undefined) throw new Error(`edgelog serve did not start: ${await errors}`);
  const url = line.replace(/^http\s+/, "");
  return { process: child, url, env: { EDGELOG_URL: url } };
}

/** Ends a process and waits until it is gone. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
  const ended = exit(child);
  child.kill(signal);
  return ended;
}

export function exit(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
}

/** A directory that is gone when the scope is left. */
export async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "edgelog-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** A port that something else listens on. */
export async function occupiedPort(): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { port: address.port, [Symbol.asyncDispose]: close };
}

/** Whether the process runs; a zombie, which only waits to be reaped, does not. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    return !stat.slice(stat.lastIndexOf(")")).startsWith(") Z");
  } catch {
    return false;
  }
}

/** Asks again until it is so; the test's own timeout is the limit. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function firstLine(child: ChildProcess): Promise<string | undefined> {
  if (child.stdout === null) return undefined;
  for await (const line of createInterface(child.stdout)) return line;
  return undefined;
}

async function text(stream: Readable | null): Promise<string> {
  let whole = "";
  stream?.setEncoding("utf8");
  for await (const chunk of stream ?? []) whole += String(chunk);
  return whole;
}
