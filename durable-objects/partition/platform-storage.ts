import { ALARM_AHEAD_MS_MAX } from "../../src/model/limits.ts";
import type { LogStorage, SqlRow, SqlValue } from "./storage.ts";

/** A Durable Object's own storage, for plain classes. A transaction that fails throws the object away. */
export function platformStorage(ctx: DurableObjectState): LogStorage {
  const { storage } = ctx;
  const abort = (reason: string): never => {
    ctx.abort(reason);
    throw new Error(reason);
  };
  return {
    exec: (query: string, ...bindings: SqlValue[]): SqlRow[] =>
      storage.sql.exec(query, ...bindings).toArray(),
    transactionSync(closure) {
      try {
        return storage.transactionSync(closure);
      } catch (error) {
        return abort(`a transaction failed: ${String(error)}`);
      }
    },
    sync: () => storage.sync(),
    setAlarm: (atMs) => {
      // Not awaited: it joins the transaction of the writes around it, and the output gate waits for it.
      if (atMs === null) void storage.deleteAlarm();
      // What is due later than the platform takes dates waits for an alarm that finds nothing to do.
      else void storage.setAlarm(Math.min(atMs, Date.now() + ALARM_AHEAD_MS_MAX));
    },
    abort,
  };
}
