/** What all parts of a run share: whether the platform is up, what was found, what was counted. */

import { setTimeout as delay } from "node:timers/promises";
import type { Answer, Api } from "./api.ts";
import { PartitionHistory, type Retention, type Violation } from "./history.ts";
import { REBALANCE } from "./kills.ts";
import type { Random } from "./random.ts";

/** One life of a topic: what is deleted and created again is another one. */
export class LiveTopic {
  readonly name: string;
  readonly id: string;
  readonly histories: readonly PartitionHistory[];
  /** Its deletion has been asked for: nothing is promised of it any more. */
  ended = false;

  constructor(name: string, id: string, partitions: number, retention: Retention = {}) {
    this.name = name;
    this.id = id;
    this.histories = Array.from(
      { length: partitions },
      (_, partition) => new PartitionHistory(`${name}-${partition} (${id})`, retention),
    );
  }
}

export class World {
  readonly random: Random;
  /** Takes note of something that a kill may wait for. */
  readonly happened: (event: string) => void;
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();
  readonly topics = new Set<LiveTopic>();
  round = 0;
  appendsInFlight = 0;
  /** JoinGroup and SyncGroup requests that wait for their answer. */
  rebalancesInFlight = 0;
  r2Fails = false;
  /** Producers finish what they have sent and send nothing new. */
  isDraining = false;
  readonly #up = new Gate<Api>();
  readonly #forProducers = new Gate<Api>();
  #batchIds = 0;

  constructor(random: Random, happened: (event: string) => void) {
    this.random = random;
    this.happened = happened;
  }

  newBatchId(): number {
    return this.#batchIds++;
  }

  // ── up and down ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves when the platform is up. */
  up(): Promise<Api> {
    return this.#up.passed;
  }

  upForProducers(): Promise<Api> {
    return this.#forProducers.passed;
  }

  came(api: Api): void {
    this.#up.open(api);
  }

  cameForProducers(api: Api): void {
    this.#forProducers.open(api);
  }

  went(): void {
    this.#up.close();
    this.#forProducers.close();
  }

  async rebalancing<T>(request: () => Promise<T>): Promise<T> {
    this.rebalancesInFlight++;
    this.happened(REBALANCE);
    try {
      return await request();
    } finally {
      this.rebalancesInFlight--;
    }
  }

  // ── findings ───────────────────────────────────────────────────────────────────────────────────────────────────────

  by(who: string): string {
    return `${who} in round ${this.round}`;
  }

  get acks(): number {
    return (this.counts.get("acks over HTTP") ?? 0) + (this.counts.get("acks over Kafka") ?? 0);
  }

  count(what: string, howMany = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + howMany);
  }

  report(violations: readonly Violation[]): void {
    for (const { rule, partition, message } of violations) this.violated(`${rule}: ${partition}: ${message}`);
  }

  violated(message: string): void {
    this.violations.push(`round ${this.round}: ${message}`);
  }

  /**
   * Takes note of an answer that is not the one that was hoped for. The connection may end when the platform is killed,
   * and a read of R2 may fail where R2 does; anything else is a violation.
   */
  async refused(
    answer: Exclude<Answer<unknown>, { kind: "ok" }>,
    what: string,
    { mayReadR2 = false } = {},
  ): Promise<void> {
    if (answer.kind === "lost") {
      this.count("connections lost by a kill");
      if (this.#up.isOpen) this.violated(`${what}: ${answer.reason}, though nothing was killed`);
      return;
    }
    const isExcused = mayReadR2 && this.r2Fails && answer.code === "KAFKA_STORAGE_ERROR";
    if (isExcused) this.count("reads refused because R2 fails");
    else this.violated(`${what} was answered ${answer.status}: ${answer.text}`);
    await delay(20);
  }
}

/** Whoever waits before a closed gate passes when it is opened, however often it was closed before. */
class Gate<T> {
  isOpen = false;
  #next = Promise.withResolvers<T>();

  get passed(): Promise<T> {
    return this.#next.promise;
  }

  open(value: T): void {
    this.isOpen = true;
    this.#next.resolve(value);
  }

  close(): void {
    if (this.isOpen) this.#next = Promise.withResolvers<T>();
    this.isOpen = false;
  }
}
