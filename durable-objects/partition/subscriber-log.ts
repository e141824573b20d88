/** What subscriptions need of the log. Everything is synchronous: a frame and the position after it are one step. */
export interface SubscriberLog {
  logStartOffset(): number;
  logEndOffset(): number;
  lastStableOffset(): number;
  /** The first offset that {@link readLocal} can serve. */
  earliestLocalOffset(): number;
  /**
   * Whole batches from the one that contains `offset` on, from the tail cache or SQLite: at most `maxBytes`, but at least
   * one batch; empty at the log end; "remote" when the offset is only in R2; "out_of_range" when the log has it nowhere.
   */
  readLocal(offset: number, maxBytes: number): Uint8Array | "remote" | "out_of_range";
}
