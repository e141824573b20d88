/** The table of aborted transactions: what Kafka keeps in a segment's `.txnindex` (KIP-98). */

import type { AbortedTransaction } from "../../src/log/committed-batches.ts";
import { integer, type LogStorage } from "./storage.ts";

export interface AbortedRow extends AbortedTransaction {
  /** Of its marker. */
  readonly lastOffset: number;
  /** The last stable offset once it was aborted: what is aborted later begins there or after it. */
  readonly lastStableOffset: number;
}

export const CREATE_ABORTED_TRANSACTIONS = `CREATE TABLE aborted_transactions (last_offset INTEGER PRIMARY KEY,
  first_offset INTEGER NOT NULL, producer_id INTEGER NOT NULL, last_stable_offset INTEGER NOT NULL)`;

export class AbortedTransactions {
  readonly #storage: LogStorage;
  #isEmpty = true;

  constructor(storage: LogStorage) {
    this.#storage = storage;
  }

  recover(): void {
    const table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'aborted_transactions'";
    // A log of before there were transactions gets its table now; to the others waking is no write.
    if (this.#storage.exec(table).length === 0) this.#storage.exec(CREATE_ABORTED_TRANSACTIONS);
    this.#isEmpty = this.#storage.exec("SELECT 1 FROM aborted_transactions LIMIT 1").length === 0;
  }

  /** False: there are none, and nobody need say to where it has read. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Within the transaction that writes the marker. */
  add({ producerId, firstOffset, lastOffset, lastStableOffset }: AbortedRow): void {
    this.#storage.exec(
      `INSERT INTO aborted_transactions (last_offset, first_offset, producer_id, last_stable_offset) VALUES (?, ?, ?, ?)`,
      lastOffset,
      firstOffset,
      producerId,
      lastStableOffset,
    );
    this.#isEmpty = false;
  }

  /** Those with records or a marker from `from` on and a first record before `to`, by first offset. */
  between(from: number, to: number): AbortedTransaction[] {
    if (this.#isEmpty) return [];
    // From the first row on whose last stable offset is `to` or more, none begins before `to`.
    return this.#storage
      .exec(
        `SELECT producer_id, first_offset FROM aborted_transactions
         WHERE last_offset >= ?1 AND first_offset < ?2 AND last_offset <= coalesce((
           SELECT last_offset FROM aborted_transactions
           WHERE last_offset >= ?1 AND last_stable_offset >= ?2 ORDER BY last_offset LIMIT 1), ?3)
         ORDER BY first_offset`,
        from,
        to,
        Number.MAX_SAFE_INTEGER,
      )
      .map((row) => ({
        producerId: integer(row, "producer_id"),
        firstOffset: integer(row, "first_offset"),
      }));
  }

  /** Their records are gone. */
  forgetBefore(logStartOffset: number): void {
    if (this.#isEmpty) return;
    this.#storage.exec("DELETE FROM aborted_transactions WHERE last_offset < ?", logStartOffset);
    this.#isEmpty = this.#storage.exec("SELECT 1 FROM aborted_transactions LIMIT 1").length === 0;
  }
}
