import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { MemberLog } from "./check.ts";
import { hasAssigned, readEvents } from "./events.ts";
import type { Member } from "./member.ts";

export interface MemberCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const STOP_MS_MAX = 20_000;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class MemberProcess implements Member {
  readonly name: string;
  readonly ended: Promise<void>;
  readonly #path: string;
  readonly #child: ChildProcess;
  #end: MemberLog["end"] = "by itself";
  #endMs = Number.POSITIVE_INFINITY;

  constructor(name: string, path: string, { command, args, env }: MemberCommand) {
    this.name = name;
    this.#path = path;
    const out = openSync(`${path}.log`, "a");
    const errors = openSync(`${path}.err`, "a");
    this.#child = spawn(command, args, { stdio: ["ignore", out, errors], env: { ...process.env, ...env } });
    closeSync(out);
    closeSync(errors);
    running.add(this.#child);
    this.ended = new Promise((resolve) => {
      const done = () => {
        running.delete(this.#child);
        this.#endMs = Math.min(this.#endMs, Date.now());
        resolve();
      };
      this.#child.once("exit", done);
      this.#child.once("error", done);
    });
  }

  hasJoined(): Promise<boolean> {
    return hasAssigned(this.#path);
  }

  async kill(): Promise<void> {
    this.#ending("killed");
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  async stop(): Promise<void> {
    this.#ending("stopped");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS_MAX);
    await this.ended;
    clearTimeout(timer);
  }

  /** It stands still for so long, as a process of a machine that is too busy does. */
  async freeze(ms: number): Promise<void> {
    this.#child.kill("SIGSTOP");
    await Promise.race([delay(ms, undefined, { ref: false }), this.ended]);
    this.#child.kill("SIGCONT");
  }

  async log(): Promise<MemberLog> {
    return { name: this.name, end: this.#end, endMs: this.#endMs, events: await readEvents(this.#path) };
  }

  #ending(end: MemberLog["end"]): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#end !== "by itself") return;
    this.#end = end;
    this.#endMs = Date.now();
  }
}
