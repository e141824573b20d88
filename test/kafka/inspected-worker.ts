/** The Worker with a window to what it holds for Kafka connections. Nothing else differs from the real one. */

import { PartitionLog as RealPartitionLog } from "../../durable-objects/partition/partition-log.ts";
import type { Env } from "../../src/env.ts";
import { fetchBytes, requestBytes } from "../../src/kafka/byte-budget.ts";
import worker from "../../src/worker.ts";
import { HELD_PATH, type Held } from "./inspection.ts";

// But for PartitionLog, which is our own.
export * from "../../src/worker.ts";

export class PartitionLog extends RealPartitionLog {
  async openSockets(): Promise<number> {
    return this.ctx.getWebSockets().length;
  }
}

interface InspectedEnv extends Omit<Env, "PARTITION"> {
  readonly PARTITION: DurableObjectNamespace<PartitionLog>;
}

export default {
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== HELD_PATH) return worker.fetch(request, env, context);
    const names = searchParams.getAll("object");
    const sockets = await Promise.all(names.map((name) => env.PARTITION.getByName(name).openSockets()));
    const held: Held = {
      requestBytesLeft: requestBytes.left,
      fetchBytesLeft: fetchBytes.left,
      sockets: sockets.reduce((sum, count) => sum + count, 0),
    };
    return Response.json(held);
  },
  connect: worker.connect,
} satisfies ExportedHandler<InspectedEnv>;
