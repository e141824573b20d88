import { DatabaseSync } from "node:sqlite";
import type { ControllerStorage } from "../../durable-objects/controller/storage.ts";
import type { SqlRow, SqlValue } from "../../durable-objects/partition/storage.ts";

/** The Controller's storage outside the platform: the same SQL, in memory. */
export function nodeStorage(): ControllerStorage {
  const database = new DatabaseSync(":memory:");
  return {
    exec(query, ...bindings) {
      const rows = database.prepare(query).all(...bindings.map(bound));
      return rows.map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, sqlValue(value)])),
      );
    },
    transactionSync(closure) {
      database.exec("BEGIN");
      try {
        const result = closure();
        database.exec("COMMIT");
        return result;
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
    },
  };
}

function bound(value: SqlValue) {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}

function sqlValue(value: SqlRow[string] | bigint): SqlValue {
  if (typeof value === "bigint") throw new RangeError(`${value} does not fit into a number`);
  return value;
}
