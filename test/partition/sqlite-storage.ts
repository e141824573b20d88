import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { LogStorage, SqlRow, SqlValue } from "../../durable-objects/partition/storage.ts";

/**
 * The storage of a partition outside workerd: SQLite in memory, with commits that are confirmed when the test says so, or
 * at once.
 */
export class SqliteStorage implements LogStorage {
  readonly #database = new DatabaseSync(":memory:");
  #confirmations: (() => void)[] = [];
  alarmAtMs: number | null = null;
  confirmsAtOnce = false;

  exec(query: string, ...bindings: SqlValue[]): SqlRow[] {
    return this.#database
      .prepare(query)
      .all(...bindings.map(toInput))
      .map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, fromOutput(value)])),
      );
  }

  transactionSync<T>(closure: () => T): T {
    this.#database.exec("BEGIN");
    const result = closure();
    this.#database.exec("COMMIT");
    return result;
  }

  sync(): Promise<void> {
    if (this.confirmsAtOnce) return Promise.resolve();
    return new Promise((resolve) => this.#confirmations.push(resolve));
  }

  /** Every commit so far is durable. */
  async confirm(): Promise<void> {
    const confirmations = this.#confirmations;
    this.#confirmations = [];
    for (const confirm of confirmations) confirm();
    await Promise.resolve();
  }

  setAlarm(atMs: number | null): void {
    this.alarmAtMs = atMs;
  }

  abort(reason: string): never {
    throw new Error(reason);
  }

  /** The largest row of any table whose name begins so, in bytes of its blobs. */
  largestRow(table: string): number {
    const [row] = this.exec(`SELECT max(length(headers) + length(batches)) AS most FROM ${table}`);
    return Number(row?.most ?? 0);
  }
}

function toInput(value: SqlValue): SQLInputValue {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}

function fromOutput(value: unknown): SqlValue {
  if (
    typeof value === "number" ||
    typeof value === "string" ||
    value === null ||
    value instanceof Uint8Array
  ) {
    return value;
  }
  throw new TypeError(`SQLite gave a ${typeof value}`);
}
