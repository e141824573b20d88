/** Servers of others, started on loopback and ended with what they stored. */

import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const START_MS_MAX = 60_000;
const POLL_MS = 50;

export interface Server {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Resolves when the port takes connections. @throws {Error} it ended before, with what it said */
export async function startServer(command: string, args: readonly string[], port: number): Promise<Server> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const said: Buffer[] = [];
  const note = (chunk: Buffer) => {
    said.push(chunk);
    if (said.length > 50) said.shift();
  };
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const deadlineMs = Date.now() + START_MS_MAX;
  while (!(await accepts(port))) {
    if (hasEnded(child) || Date.now() > deadlineMs) {
      child.kill("SIGKILL");
      throw new Error(`${command} did not start: ${Buffer.concat(said).toString().slice(-2_000)}`);
    }
    await delay(POLL_MS);
  }
  return {
    pid: child.pid ?? 0,
    async stop() {
      child.kill();
      const timer = setTimeout(kill, 10_000);
      await ended;
      clearTimeout(timer);
      process.off("exit", kill);
    },
  };
}

/** What a command prints, or undefined if it cannot be run. */
export async function outputOf(command: string, args: readonly string[]): Promise<string | undefined> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const said: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => said.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => said.push(chunk));
  return new Promise((resolve) => {
    child.once("error", () => resolve(undefined));
    child.once("close", (code) => resolve(code === 0 ? Buffer.concat(said).toString().trim() : undefined));
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
