/** The platform as processes of their own, to be killed. */

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { EVENT_MARK } from "./inspection.ts";

const SERVE = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url).href);
const SERVE_FAULTY = fileURLToPath(new URL("./serve-faulty.ts", import.meta.url).href);
const LOG_LINES_KEPT = 40;

/** A process group does not end with the harness. */
const running = new Set<Server>();
process.on("exit", () => {
  for (const server of running) server.signal("SIGKILL");
});

export interface ServerOptions {
  readonly dataDir: string;
  /** Of the real `edgelog serve`. */
  readonly args?: readonly string[];
  /** Absent: the real `edgelog serve`. Else the Worker whose R2 fails and that tells what it is doing. */
  readonly faults?: { readonly seed: number; readonly failures: number; readonly delayMsMax: number };
  /** An event of the faulty Worker. */
  readonly onEvent?: (event: string) => void;
}

/** As `edgelog serve --json` says them. */
export interface Listeners {
  readonly url: string;
  readonly kafka: readonly string[];
}

const FREE_PORTS = ["--port", "0", "--kafka-port", "0"];
const SETTINGS = ["--auto-create-topics", "false", "--group-initial-rebalance-delay", "0"];

export class Server {
  /** Rejects if it ends before it listens. */
  readonly listeners: Promise<Listeners>;
  readonly isFaulty: boolean;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #log: string[] = [];

  constructor({ dataDir, args: own = [...FREE_PORTS, ...SETTINGS], faults, onEvent }: ServerOptions) {
    const args =
      faults === undefined
        ? [SERVE, "serve", "--data", dataDir, "--json", ...own]
        : [SERVE_FAULTY, dataDir, JSON.stringify(variables(faults))];
    // A process group of its own, so that one signal kills node and workerd.
    this.#child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.isFaulty = faults !== undefined;
    running.add(this);
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", () => {
        running.delete(this);
        resolve();
      });
    });
    this.listeners = this.#listen();
    this.listeners.catch(() => undefined);
    void this.#follow(onEvent);
  }

  /** Its last words. */
  get log(): string {
    return this.#log.join("\n");
  }

  /** SIGKILL to every process of the group. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#ended;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#ended;
  }

  /** To every process of the group. */
  signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }

  async #listen(): Promise<Listeners> {
    if (this.#child.stdout !== null) {
      for await (const line of createInterface(this.#child.stdout)) {
        const { url, kafka } = JSON.parse(line);
        return { url: String(url), kafka: Array.isArray(kafka) ? kafka.map(String) : [] };
      }
    }
    await this.#ended;
    throw new Error(`the platform did not start:\n${this.log}`);
  }

  async #follow(onEvent: ServerOptions["onEvent"]): Promise<void> {
    if (this.#child.stderr === null) return;
    for await (const line of createInterface(this.#child.stderr)) {
      if (line.startsWith(EVENT_MARK)) {
        onEvent?.(line.slice(EVENT_MARK.length));
        continue;
      }
      this.#log.push(line);
      if (this.#log.length > LOG_LINES_KEPT) this.#log.shift();
    }
  }
}

function variables({
  seed,
  failures,
  delayMsMax,
}: NonNullable<ServerOptions["faults"]>): Record<string, string> {
  return {
    EDGELOG_AUTO_CREATE_TOPICS: "false",
    EDGELOG_GROUP_INITIAL_REBALANCE_DELAY_MS: "0",
    CRASH_SEED: String(seed),
    CRASH_R2_FAILURES: String(failures),
    CRASH_R2_DELAY_MS_MAX: String(delayMsMax),
  };
}
