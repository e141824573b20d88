/** The Worker, whose partitions can be told to leave memory. */

import { PartitionLog as RealPartitionLog } from "../../durable-objects/partition/partition-log.ts";
import type { Env } from "../../src/env.ts";
import worker from "../../src/worker.ts";

// But for PartitionLog, which is our own.
export * from "../../src/worker.ts";

export class PartitionLog extends RealPartitionLog {
  evict(): void {
    this.ctx.abort("evicted by the bench");
  }
}

interface EvictingEnv extends Omit<Env, "PARTITION"> {
  readonly PARTITION: DurableObjectNamespace<PartitionLog>;
}

export default {
  ...worker,
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/bench/evict") return worker.fetch(request, env, context);
    // It dies before it can answer.
    await env.PARTITION.getByName(searchParams.get("object") ?? "")
      .evict()
      .catch(() => undefined);
    return new Response();
  },
} satisfies ExportedHandler<EvictingEnv>;
