/**
 * What every log can do that is measured here, in as few words as its clients need. The clients are this small so that
 * they cost the machine little, and the same for all.
 */

export interface LogSystem {
  readonly name: string;
  readonly version: string;
  /** Whether a record that was acknowledged has been synced to the disk. */
  readonly syncsBeforeAck: boolean;
  /** The processes that serve it. */
  readonly pids: readonly number[];
  /** A new, empty log: a partition, a stream. */
  newLog(): Promise<Log>;
}

export interface Log {
  openProducer(): Promise<Producer>;
  openConsumer(): Promise<Consumer>;
  /** Gives back its space. */
  remove(): Promise<void>;
}

/** Bytes that are ready to be sent, as often as one likes. */
export type Prepared = readonly Uint8Array[];

export interface Producer {
  /** As one batch, where the system has batches. */
  prepare(values: readonly Uint8Array[]): Prepared;
  /** Resolves when all of them are acknowledged. Several may be under way; they keep their order. */
  send(prepared: Prepared): Promise<void>;
  close(): void;
}

export interface Received {
  readonly records: number;
  values(): Iterable<Uint8Array>;
}

/** Reads from the beginning, and then on as records come. */
export interface Consumer {
  /** What comes next; waits for it. */
  next(): Promise<Received>;
  close(): void;
}
