/** One seed: a cluster, its clients and a bad day; then rest, and everything must be as it should. */

import { Controller } from "../../durable-objects/controller/controller.ts";
import { GroupCoordinator } from "../../durable-objects/group/group-coordinator.ts";
import { PartitionLog } from "../../durable-objects/partition/partition-log.ts";
import { TransactionCoordinator } from "../../durable-objects/transaction/transaction-coordinator.ts";
import { Random } from "../crash/random.ts";
import { makeRoom, topicLives } from "./admin.ts";
import { differences, unrest } from "./at-rest.ts";
import { checkLookUpsByTime } from "./by-time.ts";
import { drawFaults, NO_FAULTS } from "./faults.ts";
import { SimulatedClassicGroup, SimulatedConsumerGroup } from "./groups.ts";
import { inhabit } from "./isolate.ts";
import { newIsolateMemory } from "./isolate-memory.ts";
import { isFault } from "./object-host.ts";
import { type Classes, Platform } from "./platform.ts";
import { readWhole } from "./reader.ts";
import { drawLimits } from "./small-limits.ts";
import { SimulatedTransactions } from "./transactions.ts";
import { Workload } from "./workload.ts";

export interface SeedReport {
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly events: number;
  /** What happened last, if notes were taken. */
  readonly notes: readonly string[];
}

const EVENTS_MIN = 80;
const EVENTS_MAX = 800;
/** To drain, to be read, to come to rest: more than this is a livelock. */
const REST_EVENTS_MAX = 60_000;
const REST_MS_MAX = 3 * 3_600_000;
const REST_LOOK_EVENTS = 25;

const CLASSES: Classes = {
  CONTROLLER: (context, environment) => new Controller(context as never, environment as never),
  PARTITION: (context, environment) => new PartitionLog(context as never, environment as never),
  TRANSACTION: (context, environment) => new TransactionCoordinator(context as never, environment as never),
  GROUP: (context, environment) => new GroupCoordinator(context as never, environment as never),
};

export async function runSeed(seed: number, takesNotes = false): Promise<SeedReport> {
  const random = new Random(seed);
  drawLimits(random);
  newIsolateMemory(random);
  const platform = new Platform(random.fork(), drawFaults(random), CLASSES, takesNotes);
  inhabit(platform);
  const simulation = new Simulation(platform, random.integer(EVENTS_MIN, EVENTS_MAX));
  const unhandled = (error: unknown) => simulation.unhandled(error);
  process.on("unhandledRejection", unhandled);
  try {
    await simulation.run();
    // Node tells of unhandled rejections, and collects garbage, between two seeds only.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("unhandledRejection", unhandled);
    platform.close();
  }
  const { violations, counts, notes, scheduler } = platform;
  return { violations, counts, notes, events: scheduler.eventsRun };
}

class Simulation {
  readonly #platform: Platform;
  readonly #workload: Workload;
  readonly #events: number;
  #transactions: SimulatedTransactions | undefined;

  constructor(platform: Platform, events: number) {
    this.#platform = platform;
    this.#workload = new Workload(platform);
    this.#events = events;
  }

  async run(): Promise<void> {
    const { scheduler } = this.#platform;
    this.#begin();
    while (scheduler.eventsRun < this.#events && !this.#isViolated) {
      this.#platform.mischief();
      if (!(await scheduler.step())) {
        this.#platform.violated("nothing is left to do");
        return;
      }
    }
    await this.#rest();
  }

  #begin(): void {
    const { random } = this.#platform;
    const subject = random.pick(["logs", "logs", "logs", "groups", "both", "transactions", "transactions"]);
    if (subject === "transactions") {
      this.#transactions = new SimulatedTransactions(this.#workload);
      this.#workload.run("transactions", this.#transactions.run());
      return;
    }
    if (subject !== "groups") {
      const topics = random.integer(1, 2);
      for (let nth = 0; nth < topics; nth++) {
        this.#workload.run("a topic", topicLives(this.#workload, `topic${nth}`));
      }
    }
    if (subject === "logs") return;
    const group = random.chance(0.5)
      ? new SimulatedClassicGroup(this.#workload, "group")
      : new SimulatedConsumerGroup(this.#workload, "group");
    this.#workload.run("a group", group.run());
  }

  unhandled(error: unknown): void {
    // A dead object's promises are nobody's business.
    if (isFault(error)) return;
    this.#platform.violated(`unhandled: ${error instanceof Error ? error.stack : error}`);
  }

  get #isViolated(): boolean {
    return this.#platform.violations.length > 0;
  }

  /** From here on nothing goes wrong. */
  async #rest(): Promise<void> {
    const { platform } = this;
    platform.note(() => "rest");
    platform.faults = NO_FAULTS;
    for (const [, host] of platform.hosts) {
      host.jumpClock(0);
      host.endReplaced();
    }
    this.#workload.isDraining = true;
    this.#workload.run("making room", makeRoom(this.#workload));
    await this.#until(() => !this.#workload.isRunning, "clients do not end");
    await this.#check();
    // An alarm that the platform has given up on is set again by whatever wakes the object next.
    this.#workload.run(
      "a look",
      this.#workload.insist(() => this.#workload.controller.describeCluster()).then(() => undefined),
    );
    await this.#comeToRest();
    await this.#check();
    for (const difference of differences(this.#workload)) this.#platform.violated(difference);
    for (const { records } of this.#workload.topics) for (const record of records) record.checkRealTime();
  }

  get platform(): Platform {
    return this.#platform;
  }

  async #check(): Promise<void> {
    this.#workload.run(
      "the check",
      (async () => {
        for (const live of this.#workload.topics) {
          for (const [partition, record] of live.records.entries()) {
            const batches = await readWhole(this.#workload, live, partition, record);
            await checkLookUpsByTime(this.#workload, live, partition, batches);
          }
        }
        await this.#transactions?.check();
      })(),
    );
    await this.#until(() => !this.#workload.isRunning, "the check does not end");
  }

  async #comeToRest(): Promise<void> {
    const { scheduler } = this.#platform;
    const untilMs = scheduler.nowMs + REST_MS_MAX;
    const problems = () => unrest(this.#workload);
    for (let events = 0; problems().length > 0 && !this.#isViolated; events += REST_LOOK_EVENTS) {
      const isLate = (scheduler.nextAtMs ?? Number.POSITIVE_INFINITY) > untilMs || events > REST_EVENTS_MAX;
      if (isLate) {
        for (const problem of problems()) this.#platform.violated(problem);
        return;
      }
      for (let looks = 0; looks < REST_LOOK_EVENTS; looks++) {
        if ((scheduler.nextAtMs ?? Number.POSITIVE_INFINITY) <= untilMs) await scheduler.step();
      }
    }
  }

  async #until(isDone: () => boolean, otherwise: string): Promise<void> {
    for (let events = 0; !isDone() && !this.#isViolated; events++) {
      const isMoving = (await this.#platform.scheduler.step()) || isDone();
      if (!isMoving || events > REST_EVENTS_MAX) this.#platform.violated(otherwise);
    }
  }
}
