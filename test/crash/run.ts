/** A crash test: rounds of start, check, work and SIGKILL on one data directory. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Api } from "./api.ts";
import { Activity, EVENT_MS_MAX, type KillPlan, planKill } from "./kills.ts";
import { verifyStorage } from "./orphans.ts";
import { ProducerIds } from "./producers.ts";
import { Random } from "./random.ts";
import { verifyWhole } from "./readers.ts";
import { Server, type ServerOptions } from "./server.ts";
import { Workload } from "./topics.ts";
import { World } from "./world.ts";

export interface CrashTestOptions {
  readonly rounds: number;
  readonly seed: number;
  /** A line for each round. */
  readonly onRound?: (line: string) => void;
  /** Keep the data directory for a look at it. */
  readonly keepData?: boolean;
}

export interface CrashTestReport {
  readonly rounds: number;
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly dataDir: string;
}

/** How long retention, uploads and walks may take to come to rest after the last kill. */
const SETTLE_MS_MAX = 120_000;
const REAL_SERVE_PROBABILITY = 0.3;

/** Stops at the end of the first round that finds a violation. */
export async function runCrashTest(options: CrashTestOptions): Promise<CrashTestReport> {
  const dataDir = await mkdtemp(join(tmpdir(), "edgelog-crash-"));
  const test = new CrashTest(options, dataDir);
  try {
    await test.run();
  } finally {
    await test.kill();
    if (options.keepData !== true) await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
  const { violations, counts, round: rounds } = test.world;
  return { rounds, violations, counts, dataDir };
}

class CrashTest {
  readonly world: World;
  readonly #options: CrashTestOptions;
  readonly #dataDir: string;
  readonly #random: Random;
  readonly #activity = new Activity();
  readonly #workload: Workload;
  #server: Server | undefined;

  constructor(options: CrashTestOptions, dataDir: string) {
    this.#options = options;
    this.#dataDir = dataDir;
    this.#random = new Random(options.seed);
    this.world = new World(this.#random.fork(), (event) => this.#activity.happened(event));
    this.#workload = new Workload(this.world, new ProducerIds(this.world));
  }

  async run(): Promise<void> {
    const begun = this.#workload.begin();
    begun.catch((error: unknown) => this.world.violated(String(error)));
    while (this.world.round < this.#options.rounds && this.world.violations.length === 0) {
      this.world.round++;
      await this.#round();
    }
    if (this.world.violations.length > 0) return;
    this.world.round++;
    await this.#rest();
  }

  /** Whatever still runs. */
  async kill(): Promise<void> {
    this.world.went();
    await this.#server?.kill();
  }

  async #round(): Promise<void> {
    const isFaulty = !this.#random.chance(REAL_SERVE_PROBABILITY);
    const plan = planKill(this.#random, isFaulty);
    const faults = isFaulty ? this.#drawFaults() : undefined;
    if (plan.kind === "startup") {
      const spawnedMs = performance.now();
      const { listeners } = this.#start(faults);
      await Promise.race([delay(plan.afterMs), listeners.catch(() => undefined)]);
      return this.#killNow(plan, "startup", spawnedMs);
    }
    const api = await this.#listen(faults);
    if (api === undefined) return;
    const readyMs = performance.now();
    const verified = this.#verify(api);
    if (plan.kind === "wake") {
      this.world.cameForProducers(api);
      await delay(plan.afterMs);
    } else {
      await verified;
      this.world.cameForProducers(api);
      if (plan.kind === "moment") await delay(plan.afterMs);
      else await Promise.race([this.#activity.wait(plan.event, plan.nth), delay(EVENT_MS_MAX)]);
      if (plan.kind === "event" && plan.afterMs > 0) await delay(plan.afterMs);
    }
    await this.#killNow(plan, plan.kind === "wake" ? "wake" : "work", readyMs);
    await verified;
  }

  #drawFaults(): NonNullable<ServerOptions["faults"]> {
    return {
      seed: this.#random.integer(0, 2 ** 31),
      failures: this.#random.pick([0, 0.05, 0.2, 0.5]),
      delayMsMax: this.#random.pick([0, 5, 30]),
    };
  }

  #start(faults: ServerOptions["faults"]): Server {
    this.#activity.reset();
    this.world.r2Fails = (faults?.failures ?? 0) > 0;
    const server = new Server({
      dataDir: this.#dataDir,
      ...(faults !== undefined && { faults }),
      onEvent: (event) => this.#server === server && this.#activity.happened(event),
    });
    this.#server = server;
    return server;
  }

  async #listen(faults: ServerOptions["faults"]): Promise<Api | undefined> {
    for (;;) {
      try {
        const api = new Api(await this.#start(faults).listeners);
        this.world.came(api);
        return api;
      } catch (error) {
        // Another process took the port between its choice and its use.
        if (String(error).includes("Address already in use")) continue;
        this.world.violated(String(error));
        return undefined;
      }
    }
  }

  async #verify(api: Api): Promise<void> {
    const checks = [...this.world.topics].flatMap((topic) =>
      [...topic.histories.keys()].map((partition) => verifyWhole(this.world, api, topic, partition)),
    );
    const done = await Promise.all(checks);
    this.world.count(done.every(Boolean) ? "rounds verified wholly" : "rounds verified in part");
  }

  async #killNow(plan: KillPlan, phase: string, sinceMs: number): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const phases = [phase, ...this.#activity.phases()];
    if (this.world.appendsInFlight > 0) phases.push("append");
    if (this.world.rebalancesInFlight > 0) phases.push("group rebalance");
    if (this.#workload.isDeleting) phases.push("topic deletion");
    const afterMs = performance.now() - sinceMs;
    this.world.went();
    await server.kill();
    for (const name of phases) this.world.count(`kills: ${name}`);
    this.world.count("kills");
    const what = plan.kind === "event" ? `${plan.event} #${plan.nth}` : plan.kind;
    this.#options.onRound?.(
      `round ${this.world.round}: ${server.isFaulty ? "faulty R2" : "edgelog serve"}, killed after ${afterMs.toFixed(0)} ms (${what}) during ${phases.join(", ")}; ${this.world.acks} acks`,
    );
    if (this.world.violations.length > 0)
      this.#options.onRound?.(`last words of the platform:\n${server.log}`);
  }

  /** Without faults: everything that was sent is acknowledged, checked once more, and nothing is left over. */
  async #rest(): Promise<void> {
    const api = await this.#listen({ seed: 0, failures: 0, delayMsMax: 0 });
    if (api === undefined) return;
    await this.#verify(api);
    this.world.cameForProducers(api);
    await this.#workload.end();
    await this.#verify(api);
    await verifyStorage(this.world, api, SETTLE_MS_MAX);
    this.world.went();
    await this.#server?.stop();
  }
}
