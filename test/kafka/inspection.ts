/** Where inspected-worker.ts tells what it holds; `?object=` names partitions, any number of them. */
export const HELD_PATH = "/held";

export interface Held {
  /** Of the budgets that all Kafka connections share. */
  readonly requestBytesLeft: number;
  readonly fetchBytesLeft: number;
  /** WebSockets of these partitions. */
  readonly sockets: number;
  /** RPC sessions that are kept with these partitions, and keep them awake. */
  readonly sessions: number;
  /** Bytes of batches that these partitions have been asked for and gave, since they woke. */
  readonly readBytes: number;
}
