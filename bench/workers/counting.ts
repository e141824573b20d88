/**
 * The Worker, and what the platform would bill of it, counted where it happens: requests and RPC sessions at the objects
 * that get them, rows by SQLite's own cursors, operations at the R2 binding. `/bench/counts` tells the counts.
 */

import { Controller as RealController } from "../../durable-objects/controller/controller.ts";
import { GroupCoordinator as RealGroupCoordinator } from "../../durable-objects/group/group-coordinator.ts";
import { PartitionLog as RealPartitionLog } from "../../durable-objects/partition/partition-log.ts";
import { TransactionCoordinator as RealTransactionCoordinator } from "../../durable-objects/transaction/transaction-coordinator.ts";
import type { Env } from "../../src/env.ts";
import worker from "../../src/worker.ts";
import { type Counts, noCounts } from "../billing/counts.ts";

// But for the objects, which are our own.
export * from "../../src/worker.ts";

/** Locally all objects and the Worker are in one isolate. */
const counts = { ...noCounts() } as { -readonly [Name in keyof Counts]: Counts[Name] };

/** Events of an object that are no calls to it, or are counted otherwise. */
const EVENTS: Readonly<Record<string, "objectRequests" | "webSocketMessages" | undefined>> = {
  webSocketMessage: "webSocketMessages",
  webSocketClose: undefined,
  webSocketError: undefined,
};

const busy = new WeakMap<object, { events: number; sinceMs: number }>();

/** Kept, so that what is put on them stays. */
const kept: unknown[] = [];

/** R2's two classes of operations; deleting is free. */
const R2_CLASSES: Readonly<Record<string, "r2ClassA" | "r2ClassB" | undefined>> = {
  put: "r2ClassA",
  list: "r2ClassA",
  createMultipartUpload: "r2ClassA",
  get: "r2ClassB",
  head: "r2ClassB",
};

const envs = new WeakMap<Env, Env>();

export class PartitionLog extends RealPartitionLog {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countedEnv(env));
  }
}

export class Controller extends RealController {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countedEnv(env));
  }
}

export class GroupCoordinator extends RealGroupCoordinator {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countedEnv(env));
  }
}

export class TransactionCoordinator extends RealTransactionCoordinator {
  constructor(ctx: DurableObjectState, env: Env) {
    countStorage(ctx);
    super(ctx, countedEnv(env));
  }
}

countCalls(PartitionLog.prototype, RealPartitionLog.prototype);
countCalls(Controller.prototype, RealController.prototype);
countCalls(GroupCoordinator.prototype, RealGroupCoordinator.prototype);
countCalls(TransactionCoordinator.prototype, RealTransactionCoordinator.prototype);

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname === "/bench/counts") return Response.json(counts);
    counts.workerRequests++;
    return worker.fetch(request, countedEnv(env), context);
  },
  connect(socket, env) {
    counts.workerRequests++;
    return worker.connect(socket, countedEnv(env));
  },
} satisfies ExportedHandler<Env>;

/**
 * Every method of the class is a call from outside: a request, an alarm, an RPC. Calls on a session are counted one by one
 * as well, though they are billed as one: at a low rate there is no session. What a call waits for keeps the object awake.
 */
function countCalls(counted: object, real: object): void {
  for (const name of Object.getOwnPropertyNames(real)) {
    const method: unknown = Reflect.get(real, name);
    if (name === "constructor" || typeof method !== "function") continue;
    const kind = name in EVENTS ? EVENTS[name] : "objectRequests";
    Object.defineProperty(counted, name, {
      configurable: true,
      value(this: object, ...args: unknown[]) {
        if (kind !== undefined) counts[kind]++;
        const asleep = awake(this);
        const result = Reflect.apply(method, this, args);
        if (result instanceof Promise) return result.finally(asleep);
        asleep();
        return result;
      },
    });
  }
}

/** Events that overlap are billed once. */
function awake(object: object): () => void {
  const state = busy.get(object) ?? { events: 0, sinceMs: 0 };
  busy.set(object, state);
  if (state.events++ === 0) state.sinceMs = Date.now();
  return () => {
    state.events--;
    if (state.events === 0) counts.awakeMs += Date.now() - state.sinceMs;
  };
}

function countStorage({ storage }: DurableObjectState): void {
  const { sql } = storage;
  kept.push(storage, sql);
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, "exec", {
    value: (...args: Parameters<SqlStorage["exec"]>) => countedCursor(exec(...args)),
  });
  for (const name of ["setAlarm", "deleteAlarm"] as const) {
    const call: (...args: never[]) => unknown = storage[name].bind(storage);
    Object.defineProperty(storage, name, {
      value: (...args: never[]) => {
        // Each setAlarm() is billed as a row written.
        if (name === "setAlarm") counts.rowsWritten++;
        return call(...args);
      },
    });
  }
}

/** A cursor knows only at its end what it has read. */
function countedCursor<T extends Record<string, SqlStorageValue>>(
  cursor: SqlStorageCursor<T>,
): SqlStorageCursor<T> {
  const toArray = cursor.toArray.bind(cursor);
  const one = cursor.one.bind(cursor);
  const note = <R>(result: R): R => {
    counts.rowsRead += cursor.rowsRead;
    counts.rowsWritten += cursor.rowsWritten;
    return result;
  };
  Object.defineProperty(cursor, "toArray", { value: () => note(toArray()) });
  Object.defineProperty(cursor, "one", { value: () => note(one()) });
  return cursor;
}

function countedEnv(env: Env): Env {
  const known = envs.get(env);
  if (known !== undefined) return known;
  const counted = { ...env, SEGMENTS: countedBucket(env.SEGMENTS) };
  envs.set(env, counted);
  return counted;
}

function countedBucket(bucket: R2Bucket): R2Bucket {
  return new Proxy(bucket, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      const kind = R2_CLASSES[String(name)];
      return async (...args: unknown[]) => {
        if (kind !== undefined) counts[kind]++;
        const result: unknown = await Reflect.apply(member, target, args);
        if (name === "put" && typeof result === "object" && result !== null && "size" in result) {
          counts.r2BytesPut += Number(result.size);
        }
        return result;
      };
    },
  });
}
