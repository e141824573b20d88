/**
 * One process per data directory: two workerd on the same SQLite files would both believe that they lead.
 * The lock is a file that names its holder; a holder that is gone, however it went, holds nothing.
 */

import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CliError } from "./errors.ts";

const RUNTIME_EXIT_WAIT_MS = 5_000;
/** Tells workerd's launcher where its pid is to be written. */
export const RUNTIME_PID_FILE_VARIABLE = "EDGELOG_WORKERD_PID_FILE";

export interface DataDir {
  readonly path: string;
  /** workerd's launcher writes its pid here. */
  readonly runtimePidFile: string;
  /** For files that do not outlive the process: empty at the start, gone at the end. */
  readonly temporary: string;
  release(): Promise<void>;
}

/** Takes the directory, making it if need be; ends a runtime that outlived its `serve`. */
export async function lockDataDir(dataDir: string): Promise<DataDir> {
  const path = resolve(dataDir);
  await makeDirectory(path).catch((error: Error) => {
    throw unusable(path, "cannot be made", error);
  });
  const lockFile = join(path, "serve.lock");
  const runtimePidFile = join(path, "workerd.pid");
  const temporary = join(path, "tmp");
  await takeLock(lockFile, path).catch((error: Error) => {
    throw error instanceof CliError ? error : unusable(path, "cannot be written", error);
  });
  await endOrphan(runtimePidFile);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary);
  const release = async (): Promise<void> => {
    await rm(temporary, { recursive: true, force: true });
    await rm(runtimePidFile, { force: true });
    await rm(lockFile, { force: true });
  };
  return { path, runtimePidFile, temporary, release };
}

function unusable(path: string, how: string, { message }: Error): CliError {
  return new CliError(`The data directory ${path} ${how}: ${message}. Choose another with --data.`);
}

/** Node's recursive mkdir never ends where a parent exists and the file system takes no directories (/proc). */
async function makeDirectory(path: string): Promise<void> {
  const isDirectory = (directory: string) => stat(directory).then((found) => found.isDirectory());
  if (await isDirectory(path).catch(() => false)) return;
  const parent = dirname(path);
  if (parent !== path) await makeDirectory(parent);
  await mkdir(path).catch(async (error: Error) => {
    if (hasCode(error, "EEXIST") && (await isDirectory(path))) return;
    throw error;
  });
}

async function takeLock(lockFile: string, path: string): Promise<void> {
  const mine = `${process.pid} ${processStart(process.pid) ?? ""}\n`;
  for (let attempt = 0; attempt < 10; attempt++) {
    if (await createWhole(lockFile, mine)) return;
    const held = await readFile(lockFile, "utf8").catch(() => undefined);
    if (held === undefined) continue;
    if (isHeld(held)) throw inUse(path, held);
    await removeStale(lockFile, held);
  }
  throw new CliError(`The lock ${lockFile} cannot be taken; remove the file if no edgelog serve is running`);
}

/** Makes the file with its content in one step (a reader never sees it empty), or answers false if it exists. */
async function createWhole(file: string, content: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  try {
    await writeFile(draft, content);
    await link(draft, file);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Between reading a stale lock and removing it another serve may have taken it: what was moved away is looked at again. */
async function removeStale(lockFile: string, stale: string): Promise<void> {
  const aside = `${lockFile}.${randomUUID()}`;
  try {
    await rename(lockFile, aside);
    if ((await readFile(aside, "utf8")) !== stale) await link(aside, lockFile).catch(() => undefined);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

function inUse(path: string, held: string): CliError {
  const [pid] = held.split(" ");
  return new CliError(
    `The data directory ${path} is in use by another edgelog serve (process ${pid}). ` +
      "Stop that one, or choose another directory with --data.",
  );
}

/** A pid alone is not enough: after a crash or in a container it soon belongs to someone else. */
function isHeld(held: string): boolean {
  const [pidText = "", ...rest] = held.trim().split(" ");
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return false;
  const start = processStart(pid);
  return start !== undefined && start === rest.join(" ");
}

/** workerd ends itself when its parent dies, but perhaps a moment later than we start. */
async function endOrphan(runtimePidFile: string): Promise<void> {
  const pid = Number(await readFile(runtimePidFile, "utf8").catch(() => ""));
  if (!Number.isInteger(pid) || pid <= 0) return;
  const deadline = Date.now() + RUNTIME_EXIT_WAIT_MS;
  while (isRuntimeOf(pid, runtimePidFile)) {
    if (Date.now() > deadline)
      throw new CliError(`workerd (process ${pid}) of an earlier serve does not end; kill it`);
    kill(pid);
    await delay(10);
  }
  await rm(runtimePidFile, { force: true });
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}

/** By what it was started with: the pid may have become someone else's, even another directory's workerd. */
function isRuntimeOf(pid: number, runtimePidFile: string): boolean {
  return environmentOf(pid)?.includes(`${RUNTIME_PID_FILE_VARIABLE}=${runtimePidFile}`) ?? false;
}

/** When the process started, in whatever form the system tells it; undefined if there is no such process. */
function processStart(pid: number): string | undefined {
  if (process.platform !== "linux") return ps(pid, "-o", "lstart=");
  const stat = procFile(pid, "stat");
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie holds no files any more.
  return fields[0] === "Z" ? undefined : fields[19];
}

/** A text that has `NAME=value` for each variable; undefined if there is no such process. */
function environmentOf(pid: number): string | undefined {
  return process.platform === "linux" ? procFile(pid, "environ") : ps(pid, "-wwE", "-o", "command=");
}

function procFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return undefined;
  }
}

function ps(pid: number, ...options: readonly string[]): string | undefined {
  try {
    return execFileSync("ps", [...options, "-p", String(pid)], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
