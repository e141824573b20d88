/**
 * Group commit: batches that arrive while a commit is on its way to the platform's replicas wait and are then written
 * together, in one turn. One commit is in flight; a full group does not wait.
 */

import { COMMIT_GROUP_BYTES_MAX } from "../../src/model/limits.ts";
import type { LogStorage } from "./storage.ts";

export interface AssignedBatch {
  /** Stamped with its offset. */
  readonly bytes: Uint8Array;
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly maxTimestamp: number;
}

interface WaitingBatch extends AssignedBatch {
  readonly written: PromiseWithResolvers<void>;
}

export class CommitQueue {
  readonly #storage: LogStorage;
  readonly #write: (batches: readonly AssignedBatch[]) => void;
  #waiting: WaitingBatch[] = [];
  #waitingBytes = 0;
  #unconfirmedBytes = 0;
  #commitsInFlight = 0;

  /** `write` inserts batches in one transaction, in order; if that fails, the object is thrown away. */
  constructor(storage: LogStorage, write: (batches: readonly AssignedBatch[]) => void) {
    this.#storage = storage;
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
    if (this.#commitsInFlight === 0 || this.#waitingBytes >= COMMIT_GROUP_BYTES_MAX) this.#flush();
    return waiting.written.promise;
  }

  /** Resolves when the batch with this base offset is written: at once if it is not waiting. */
  async written(baseOffset: number): Promise<void> {
    await this.#waiting.find((batch) => batch.baseOffset === baseOffset)?.written.promise;
  }

  /** Writes at once whatever waits. */
  flush(): void {
    if (this.#waiting.length > 0) this.#flush();
  }

  #flush(): void {
    const batches = this.#waiting;
    const bytes = this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#write(batches);
    for (const batch of batches) batch.written.resolve();
    this.#commitsInFlight++;
    this.#storage.sync().then(
      () => {
        this.#commitsInFlight--;
        this.#unconfirmedBytes -= bytes;
        if (this.#commitsInFlight === 0) this.flush();
      },
      (error: unknown) => this.#storage.abort(`the log could not be committed: ${String(error)}`),
    );
  }
}
