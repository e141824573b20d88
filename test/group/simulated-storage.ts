import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { LogStorage, SqlRow, SqlValue } from "../../durable-objects/partition/storage.ts";

/**
 * The storage of an object that may be killed: SQLite in memory, in which nothing is durable before {@link confirm}, and
 * {@link crash} takes back what is not.
 */
export class SimulatedStorage implements LogStorage {
  readonly #database = new DatabaseSync(":memory:");
  #confirmations: (() => void)[] = [];
  #durableAlarmAtMs: number | null = null;
  alarmAtMs: number | null = null;
  /** Rows written so far, as the platform bills them. */
  rowsWritten = 0;

  constructor() {
    this.#database.exec("BEGIN");
  }

  exec(query: string, ...bindings: SqlValue[]): SqlRow[] {
    const rows = this.#database
      .prepare(query)
      .all(...bindings.map(toInput))
      .map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, fromOutput(value)])),
      );
    if (/^\s*(INSERT|UPDATE|DELETE)/.test(query)) {
      const [changes] = this.#database.prepare("SELECT changes() AS n").all();
      this.rowsWritten += Number(changes?.n ?? 0);
    }
    return rows;
  }

  transactionSync<T>(closure: () => T): T {
    this.#database.exec("SAVEPOINT change");
    const result = closure();
    this.#database.exec("RELEASE change");
    return result;
  }

  sync(): Promise<void> {
    return new Promise((resolve) => this.#confirmations.push(resolve));
  }

  /** Everything written so far is durable. */
  confirm(): void {
    this.#database.exec("COMMIT");
    this.#database.exec("BEGIN");
    this.#durableAlarmAtMs = this.alarmAtMs;
    for (const confirm of this.#confirmations.splice(0)) confirm();
  }

  /** Nothing that is not durable has ever been written. */
  crash(): void {
    this.#database.exec("ROLLBACK");
    this.#database.exec("BEGIN");
    this.alarmAtMs = this.#durableAlarmAtMs;
    this.#confirmations = [];
  }

  setAlarm(atMs: number | null): void {
    this.alarmAtMs = atMs;
  }

  abort(reason: string): never {
    throw new Error(reason);
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
