/**
 * The Worker with an R2 that fails, an account of what it is doing (a line of log for each event, so that the harness can
 * kill it right there) and a window to look at what is stored. Nothing else differs from the real one.
 */

import { PartitionLog as RealPartitionLog } from "../../durable-objects/partition/partition-log.ts";
import type { Env } from "../../src/env.ts";
import worker from "../../src/worker.ts";
import { faultyBucket } from "./faulty-bucket.ts";
import {
  EVENT_MARK,
  OBJECTS_PATH,
  SEGMENTS_PATH,
  type StoredObject,
  type StoredSegment,
} from "./inspection.ts";
import { Random } from "./random.ts";

interface FaultyEnv extends Env {
  readonly CRASH_SEED?: string;
  readonly CRASH_R2_FAILURES?: string;
  readonly CRASH_R2_DELAY_MS_MAX?: string;
}

// But for PartitionLog, which is our own.
export * from "../../src/worker.ts";

export class PartitionLog extends RealPartitionLog {
  constructor(ctx: DurableObjectState, env: FaultyEnv) {
    announceStatements(ctx.storage.sql);
    super(ctx, withFaults(env));
  }

  async storedSegments(): Promise<StoredSegment[]> {
    const { sql } = this.ctx.storage;
    const tables = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'segments'").toArray();
    if (tables.length === 0) return [];
    return sql
      .exec<Record<string, number>>("SELECT base_offset, generation, bytes, state, state_at_ms FROM segments")
      .toArray()
      .map((row) => ({
        baseOffset: Number(row.base_offset),
        generation: Number(row.generation),
        bytes: Number(row.bytes),
        state: Number(row.state),
        stateAtMs: Number(row.state_at_ms),
      }));
  }
}

interface InspectedEnv extends Omit<FaultyEnv, "PARTITION"> {
  readonly PARTITION: DurableObjectNamespace<PartitionLog>;
}

export default {
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === OBJECTS_PATH) return Response.json(await storedObjects(env.SEGMENTS));
    if (pathname === SEGMENTS_PATH) {
      const name = searchParams.get("object") ?? "";
      return Response.json(await env.PARTITION.getByName(name).storedSegments());
    }
    return worker.fetch(request, withFaults(env), context);
  },
  connect: (socket, env) => worker.connect(socket, withFaults(env)),
} satisfies ExportedHandler<InspectedEnv>;

let random: Random | undefined;

function withFaults<T extends Omit<FaultyEnv, "PARTITION">>(env: T): T {
  random ??= new Random(Number(env.CRASH_SEED ?? 0));
  const faults = {
    failures: Number(env.CRASH_R2_FAILURES ?? 0),
    delayMsMax: Number(env.CRASH_R2_DELAY_MS_MAX ?? 0),
  };
  return { ...env, SEGMENTS: faultyBucket(env.SEGMENTS, faults, random, announce) };
}

function announce(event: string): void {
  console.log(`${EVENT_MARK}${event}`);
}

/** The platform gives one `sql` object per Durable Object; ours stands before its `exec`. */
function announceStatements(sql: SqlStorage): void {
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, "exec", {
    value: (query: string, ...bindings: unknown[]) => {
      const cursor = exec(query, ...bindings);
      if (query.startsWith("CREATE TABLE segment_")) announce("roll");
      if (query.startsWith("DROP TABLE IF EXISTS segment_")) announce("drop");
      if (query.startsWith("DELETE FROM segments")) announce("forget");
      return cursor;
    },
  });
}

async function storedObjects(bucket: R2Bucket): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list({ limit: 1_000, ...(cursor !== undefined && { cursor }) });
    found.push(...page.objects.map(({ key, size }) => ({ key, size })));
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return found;
}
