import { visibleBatches } from "../../src/log/committed-batches.ts";
import type { Isolation } from "../../src/model/isolation.ts";
import type { PartitionLeader } from "./leader.ts";

/** What subscriptions need of the log. Everything is synchronous: a frame and the position after it are one step. */
export interface SubscriberLog {
  logStartOffset(): number;
  logEndOffset(): number;
  lastStableOffset(): number;
  /** The first offset that {@link readLocal} can serve. */
  earliestLocalOffset(): number;
  /**
   * Whole batches from the one that contains `offset` on, from the tail cache or SQLite: at most `maxBytes`, but at least
   * one batch; nothing where what such a reader may read ends; "remote" when the offset is only in R2; "out_of_range" when
   * the log has it nowhere.
   */
  readLocal(offset: number, maxBytes: number, isolation: Isolation): LocalBatches | "remote" | "out_of_range";
}

export interface LocalBatches {
  /** Those that such a reader sees. */
  readonly batches: Uint8Array;
  /** The offset after all that were read, those left out among them. */
  readonly next: number;
  /** Of all that were read. */
  readonly readBytes: number;
}

/** Where what such a reader may read ends. */
export function readableEndOf(log: SubscriberLog, isolation: Isolation | undefined): number {
  return isolation === "read_committed" ? log.lastStableOffset() : log.logEndOffset();
}

export function subscriberLog(leader: PartitionLeader): SubscriberLog {
  const { log } = leader;
  return {
    logStartOffset: () => log.logStartOffset,
    logEndOffset: () => log.logEndOffset,
    lastStableOffset: () => leader.lastStableOffset,
    earliestLocalOffset: () => log.earliestLocalOffset(),
    readLocal(offset, maxBytes, isolation) {
      const isCommitted = isolation === "read_committed";
      const end = isCommitted ? leader.lastStableOffset : log.logEndOffset;
      const batches = log.read(offset, maxBytes, end);
      if (!(batches instanceof Uint8Array)) return batches === "out_of_range" ? batches : "remote";
      const abortedTransactions = isCommitted ? leader.abortedBetween(offset, end) : undefined;
      return { ...visibleBatches({ batches, abortedTransactions }, offset), readBytes: batches.length };
    },
  };
}
