/**
 * Commits that arrive while one is on its way to the platform's replicas wait and are then written together, in one
 * transaction: a group that commits after every record pays for one write at a time. One transaction is in flight.
 */

import type { Failure } from "../../src/model/errors.ts";
import type { LogStorage } from "../partition/storage.ts";
import type { CommitOffsetsRequest, CommittedPartition } from "./rpc.ts";

export type CommitResult = CommittedPartition[] | Failure;

interface WaitingCommit {
  readonly request: CommitOffsetsRequest;
  readonly done: PromiseWithResolvers<CommitResult>;
}

export class CommitQueue {
  readonly #storage: LogStorage;
  readonly #write: (requests: readonly CommitOffsetsRequest[]) => CommitResult[];
  #waiting: WaitingCommit[] = [];
  #isInFlight = false;

  /** `write` checks and stores commits in one transaction, in order; if that fails, the object is thrown away. */
  constructor(storage: LogStorage, write: (requests: readonly CommitOffsetsRequest[]) => CommitResult[]) {
    this.#storage = storage;
    this.#write = write;
  }

  /** Resolves when the commit is written; the output gate holds what follows from it until it is durable. */
  add(request: CommitOffsetsRequest): Promise<CommitResult> {
    const done = Promise.withResolvers<CommitResult>();
    this.#waiting.push({ request, done });
    if (!this.#isInFlight) this.#begin();
    return done.promise;
  }

  /** Writes at once whatever waits, so that what comes after a commit also happens after it. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const results = this.#write(waiting.map(({ request }) => request));
    for (const [index, { done }] of waiting.entries()) {
      const result = results[index];
      if (result !== undefined) done.resolve(result);
    }
  }

  #begin(): void {
    this.#isInFlight = true;
    this.flush();
    this.#storage.sync().then(
      () => {
        this.#isInFlight = false;
        if (this.#waiting.length > 0) this.#begin();
      },
      (error: unknown) => this.#storage.abort(`offsets could not be committed: ${String(error)}`),
    );
  }
}
