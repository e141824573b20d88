import { type LogStorage, text } from "../partition/storage.ts";
import type { Transaction } from "./transaction.ts";

/** One row: what the transactional id is, as JSON, and its name. A coordinator that was never used has no table. */
export class TransactionStore {
  readonly #storage: LogStorage;

  constructor(storage: LogStorage) {
    this.#storage = storage;
  }

  get exists(): boolean {
    const query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'transactional_id'";
    return this.#storage.exec(query).length > 0;
  }

  name(): string | undefined {
    const [row] = this.exists ? this.#storage.exec("SELECT name FROM transactional_id") : [];
    return row === undefined ? undefined : text(row, "name");
  }

  load(): Transaction | undefined {
    const [row] = this.exists ? this.#storage.exec("SELECT state FROM transactional_id") : [];
    return row === undefined ? undefined : parseTransaction(text(row, "state"));
  }

  save(name: string, transaction: Transaction): void {
    this.#storage.exec(
      "CREATE TABLE IF NOT EXISTS transactional_id (name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID",
    );
    this.#storage.exec(
      "INSERT INTO transactional_id (name, state) VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
      name,
      JSON.stringify(transaction),
    );
  }

  /** Touches storage: the platform then checks that this object is still the only one of its name. */
  confirmUniqueness(): void {
    if (this.exists) this.#storage.exec("SELECT 1 FROM transactional_id LIMIT 1");
  }

  drop(): void {
    this.#storage.exec("DROP TABLE IF EXISTS transactional_id");
  }
}

/** As this class stored it. */
function parseTransaction(json: string): Transaction {
  return JSON.parse(json);
}
