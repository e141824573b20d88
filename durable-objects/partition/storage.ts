/**
 * What the partition's plain classes need of the platform. The Durable Object shell provides it from `ctx.storage`;
 * a simulation provides it with faults.
 */

export type SqlValue = ArrayBuffer | Uint8Array | string | number | null;
export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface LogStorage {
  /** Runs one statement and drains its cursor at once: an open cursor would make DROP TABLE fail. */
  exec(query: string, ...bindings: SqlValue[]): SqlRow[];
  /** All or nothing. A closure that throws throws the object away, because memory may have run ahead of storage. */
  transactionSync<T>(closure: () => T): T;
  /** Resolves when everything written so far is durable. */
  sync(): Promise<void>;
  /** The alarm's next time in ms, or null for none. Part of the same transaction as the writes around it. */
  setAlarm(atMs: number | null): void;
  /** Throws away the object and with it everything not yet durable; callers see an exception. */
  abort(reason: string): never;
}

export interface Clock {
  /** ms since the epoch. */
  now(): number;
}

/** The integer in a column; SQLite's types are dynamic, so each is checked once, here. */
export function integer(row: SqlRow, column: string): number {
  const value = row[column];
  if (typeof value !== "number")
    throw new TypeError(`column ${column} holds ${typeof value}, not an integer`);
  return value;
}

export function text(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new TypeError(`column ${column} holds ${typeof value}, not text`);
  return value;
}

export function blob(row: SqlRow, column: string): Uint8Array {
  const value = row[column];
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw new TypeError(`column ${column} holds ${typeof value}, not a blob`);
}
