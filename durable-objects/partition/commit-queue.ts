/**
 * Group commit: batches that arrive while a commit is on its way to the platform's replicas wait and are then written
 * together, in one turn. One commit is in flight; a full group does not wait.
 *
 * With no commit in flight a group is still given as many turns of the event loop as bring more batches, and two that
 * bring none. Where the object shares its thread with whoever calls it (as on a laptop), nobody else runs while a commit
 * is made: what came meanwhile lies in the sockets, and would otherwise be committed one by one. A large Kafka frame takes
 * two turns to come in. A batch that is alone waits for some 50 µs, and a commit takes a millisecond.
 */

import { COMMIT_GROUP_BYTES_MAX } from "../../src/model/limits.ts";
import type { EndedTransaction } from "./partition-transactions.ts";
import type { LogStorage } from "./storage.ts";

export interface AssignedBatch {
  /** Stamped with its offset. */
  readonly bytes: Uint8Array;
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** Of its records; -1: they have none. */
  readonly maxTimestamp: number;
  /** Of a marker. */
  readonly ends?: EndedTransaction | undefined;
}

/** A trickle of batches must not keep the first one waiting. */
const GATHERING_TURNS_MAX = 16;
const QUIET_TURNS = 2;

interface WaitingBatch extends AssignedBatch {
  readonly written: PromiseWithResolvers<void>;
}

export class CommitQueue {
  readonly #storage: LogStorage;
  readonly #nextTurn: () => Promise<void>;
  readonly #write: (batches: readonly AssignedBatch[]) => void;
  #waiting: WaitingBatch[] = [];
  #waitingBytes = 0;
  #unconfirmedBytes = 0;
  #commitsInFlight = 0;
  #isGathering = false;

  /**
   * `nextTurn` resolves when the events that have come until now have had their turn. `write` inserts batches in one
   * transaction, in order; if that fails, the object is thrown away.
   */
  constructor(
    storage: LogStorage,
    nextTurn: () => Promise<void>,
    write: (batches: readonly AssignedBatch[]) => void,
  ) {
    this.#storage = storage;
    this.#nextTurn = nextTurn;
    this.#write = write;
  }

  /** Bytes taken and not yet confirmed by the platform. */
  get unconfirmedBytes(): number {
    return this.#unconfirmedBytes;
  }

  /** Resolves when the batch is written; the output gate holds what follows from it until it is durable. */
  add(batch: AssignedBatch): Promise<void> {
    const waiting = { ...batch, written: Promise.withResolvers<void>() };
    this.#waiting.push(waiting);
    this.#waitingBytes += batch.bytes.length;
    this.#unconfirmedBytes += batch.bytes.length;
    if (this.#waitingBytes >= COMMIT_GROUP_BYTES_MAX) this.#flushSafely();
    else if (this.#commitsInFlight === 0) void this.#gather();
    return waiting.written.promise;
  }

  /** Resolves when the batch with this base offset is written: at once if it is not waiting. */
  async written(baseOffset: number): Promise<void> {
    await this.#waiting.find((batch) => batch.baseOffset === baseOffset)?.written.promise;
  }

  /** Writes at once whatever waits. Throws what `write` throws. */
  flush(): void {
    if (this.#waiting.length > 0) this.#flush();
  }

  async #gather(): Promise<void> {
    if (this.#isGathering || this.#waiting.length === 0) return;
    this.#isGathering = true;
    for (let turns = 0, quiet = 0; turns < GATHERING_TURNS_MAX && quiet < QUIET_TURNS; turns++) {
      const before = this.#waiting.length;
      await this.#nextTurn();
      quiet = this.#waiting.length > before ? 0 : quiet + 1;
    }
    this.#isGathering = false;
    if (this.#commitsInFlight === 0) this.#flushSafely();
  }

  /** Whoever waits for the batches is told of a failure; nobody else is there to be. */
  #flushSafely(): void {
    try {
      this.flush();
    } catch {
      // The object has been thrown away.
    }
  }

  #flush(): void {
    const batches = this.#waiting;
    const bytes = this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      this.#write(batches);
    } catch (error) {
      for (const batch of batches) batch.written.reject(error);
      throw error;
    }
    for (const batch of batches) batch.written.resolve();
    this.#commitsInFlight++;
    this.#storage.sync().then(
      () => {
        this.#commitsInFlight--;
        this.#unconfirmedBytes -= bytes;
        if (this.#commitsInFlight === 0) void this.#gather();
      },
      (error: unknown) => this.#storage.abort(`the log could not be committed: ${String(error)}`),
    );
  }
}
