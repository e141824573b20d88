import { NAMES_PER_LIST_MAX } from "../../src/model/limits.ts";
import { integer, text } from "../partition/storage.ts";
import type { ListNamesRequest } from "./rpc.ts";
import type { ControllerStorage } from "./storage.ts";

/**
 * Which objects of a kind exist: groups, transactional ids. One records itself before its first write and is struck out
 * about its last, so that this may name one that is blank, but never misses one that is not.
 */
export class RegisteredNames {
  readonly #storage: ControllerStorage;
  readonly #table: string;
  readonly #column: string;

  constructor(storage: ControllerStorage, table: string, column: string) {
    this.#storage = storage;
    this.#table = table;
    this.#column = column;
    storage.exec(`CREATE TABLE IF NOT EXISTS ${table}(${column} TEXT PRIMARY KEY) WITHOUT ROWID`);
  }

  open(name: string): void {
    this.#storage.exec(`INSERT INTO ${this.#table} VALUES (?) ON CONFLICT DO NOTHING`, name);
  }

  close(name: string): void {
    this.#storage.exec(`DELETE FROM ${this.#table} WHERE ${this.#column} = ?`, name);
  }

  count(): number {
    const [row = {}] = this.#storage.exec(`SELECT count(*) AS names FROM ${this.#table}`);
    return integer(row, "names");
  }

  /** Sorted. */
  list({ after = "", limit = NAMES_PER_LIST_MAX }: ListNamesRequest): string[] {
    const most = Math.max(0, Math.min(Math.floor(limit), NAMES_PER_LIST_MAX));
    const [table, column] = [this.#table, this.#column];
    return this.#storage
      .exec(`SELECT ${column} FROM ${table} WHERE ${column} > ? ORDER BY ${column} LIMIT ?`, after, most)
      .map((row) => text(row, column));
  }
}
