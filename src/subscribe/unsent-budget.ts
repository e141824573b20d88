/**
 * The memory that unsent data frames may take in an isolate, shared by all objects in it: what was sent to sockets and has
 * not been credited back. A socket may have as much outstanding as is still free (the "dynamic threshold" of shared-memory
 * switches): one that reads nothing can never take more than half, k of them leave 1/(k+1) free, and no bookkeeping of
 * who is fast and who is slow is needed.
 */

import { SUBSCRIBER_UNSENT_BYTES_MAX } from "../model/limits.ts";

export class UnsentBudget {
  readonly #bytesMax: number;
  #used = 0;
  readonly #accounts = new Map<string, Account>();
  readonly #blocked = new Set<Account>();
  // An evicted object says no goodbye; its share comes back when the collector finds it.
  readonly #evicted = new FinalizationRegistry<Account>((account) => this.#close(account));

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The share of an object, which lasts as long as `owner` does, or until the object gets another one. */
  share(owner: object, objectId: string): BudgetShare {
    const before = this.#accounts.get(objectId);
    if (before !== undefined) this.#close(before);
    const account: Account = { objectId, bytes: 0, blockedSinceMs: 0 };
    this.#accounts.set(objectId, account);
    this.#evicted.register(owner, account);
    return {
      admits: (bytes, outstanding) => account.bytes === 0 || outstanding + bytes <= this.free(),
      add: (bytes) => this.#move(account, bytes),
      free: () => this.free(),
      blocked: (nowMs) => {
        if (this.#blocked.has(account)) return;
        account.blockedSinceMs = nowMs;
        this.#blocked.add(account);
      },
      unblocked: () => this.#blocked.delete(account),
      someoneWaitsSince: () => {
        let sinceMs = Number.POSITIVE_INFINITY;
        for (const { blockedSinceMs } of this.#blocked) sinceMs = Math.min(sinceMs, blockedSinceMs);
        return sinceMs;
      },
    };
  }

  free(): number {
    return this.#bytesMax - this.#used;
  }

  #close(account: Account): void {
    this.#move(account, -account.bytes);
    this.#blocked.delete(account);
    if (this.#accounts.get(account.objectId) === account) this.#accounts.delete(account.objectId);
  }

  #move(account: Account, bytes: number): void {
    account.bytes += bytes;
    this.#used += bytes;
  }
}

interface Account {
  readonly objectId: string;
  bytes: number;
  blockedSinceMs: number;
}

export interface BudgetShare {
  /** Whether a socket with so much outstanding may get so much more. One frame per object is always admitted. */
  admits(bytes: number, outstanding: number): boolean;
  /** Negative when bytes come free. */
  add(bytes: number): void;
  /** Of the whole isolate; below zero while single frames have overshot. */
  free(): number;
  /** A socket of this object that owes nothing was not admitted, and nothing was sent here since. */
  blocked(nowMs: number): void;
  /** Something was sent, or nobody is left who waits. */
  unblocked(): void;
  /** ms; since when some object of the isolate is blocked; infinity if none is. */
  someoneWaitsSince(): number;
}

/** The budget of this isolate. */
export const isolateBudget = new UnsentBudget(SUBSCRIBER_UNSENT_BYTES_MAX);
