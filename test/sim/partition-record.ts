/** Everything that clients know of one partition's log, held against all that was known before. */

import type { LogBounds } from "../../durable-objects/partition/rpc.ts";
import { PartitionHistory, type Retention, type SentBatch, type Violation } from "../crash/history.ts";
import { readBatches } from "../crash/records.ts";
import { contradictions, type Operation } from "./linearizability.ts";
import type { Platform } from "./platform.ts";

interface Sent {
  readonly batch: SentBatch;
  readonly askedAt: number;
  answeredAt: number;
  baseOffset: number | undefined;
}

/** A read that is under way. */
export interface Reading {
  readonly askedAt: number;
  readonly known: { readonly logStart: number; readonly logEnd: number };
}

export class PartitionRecord {
  readonly history: PartitionHistory;
  readonly #platform: Platform;
  readonly #sent = new Map<number, Sent>();
  readonly #reads: Operation[] = [];

  constructor(platform: Platform, name: string, retention: Retention) {
    this.#platform = platform;
    this.history = new PartitionHistory(name, retention);
  }

  get name(): string {
    return this.history.partition;
  }

  /** Before its first byte leaves. */
  sent(batch: SentBatch): void {
    this.history.sent(batch);
    this.#sent.set(batch.id, {
      batch,
      askedAt: this.#platform.moment(),
      answeredAt: Number.POSITIVE_INFINITY,
      baseOffset: undefined,
    });
  }

  acked(id: number, baseOffset: number): void {
    this.report(this.history.acked(id, baseOffset, `the ack of batch ${id}`));
    const sent = this.#sent.get(id);
    if (sent === undefined) return;
    sent.baseOffset ??= baseOffset;
    sent.answeredAt = Math.min(sent.answeredAt, this.#platform.moment());
  }

  asks(): Reading {
    return { askedAt: this.#platform.moment(), known: this.history.ends() };
  }

  /** Someone was told where the log begins and ends. */
  told(
    { askedAt, known }: Reading,
    { logStartOffset, highWatermark }: Pick<LogBounds, "logStartOffset" | "highWatermark">,
    who: string,
  ): void {
    this.report(this.history.bounds(logStartOffset, highWatermark, who, known));
    this.#reads.push({
      what: who,
      askedAt,
      answeredAt: this.#platform.moment(),
      endBefore: highWatermark,
      endAfter: highWatermark,
    });
  }

  /** Someone at `position` was given batches: the position after them. */
  follows(position: number, batches: Uint8Array, who: string): number {
    const { records, nextOffset } = readBatches(batches, position);
    this.report(this.history.followed(position, records, who));
    this.#platform.count("records read", records.length);
    for (const { batch: id, index, offset } of records) {
      const sent = this.#sent.get(id);
      if (sent !== undefined) sent.baseOffset ??= offset - index;
    }
    return nextOffset;
  }

  report(violations: readonly Violation[]): void {
    for (const { rule, partition, message } of violations) {
      this.#platform.violated(`${rule}: ${partition}: ${message}`);
    }
  }

  /** When everything has been read. */
  checkRealTime(): void {
    const appends: Operation[] = [];
    for (const { batch, askedAt, answeredAt, baseOffset } of this.#sent.values()) {
      if (baseOffset === undefined) continue;
      const what = `batch ${batch.id}`;
      appends.push({
        what,
        askedAt,
        answeredAt,
        endBefore: baseOffset,
        endAfter: baseOffset + batch.records,
      });
    }
    for (const contradiction of contradictions([...appends, ...this.#reads])) {
      this.#platform.violated(`not linearizable: ${this.name}: ${contradiction}`);
    }
    this.#platform.count("operations in real time", appends.length + this.#reads.length);
  }
}
