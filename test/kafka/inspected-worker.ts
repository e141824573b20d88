/** The Worker with a window to what it holds for Kafka connections. Nothing else differs from the real one. */

import { PartitionLog as RealPartitionLog } from "../../durable-objects/partition/partition-log.ts";
import type { ReadRequest, ReadResult } from "../../durable-objects/partition/rpc.ts";
import type { Env } from "../../src/env.ts";
import { fetchBytes, requestBytes } from "../../src/kafka/byte-budget.ts";
import worker from "../../src/worker.ts";
import { HELD_PATH, type Held } from "./inspection.ts";

// But for PartitionLog, which is our own.
export * from "../../src/worker.ts";

export class PartitionLog extends RealPartitionLog {
  #readBytes = 0;

  override async read(request: ReadRequest): Promise<ReadResult> {
    const result = await super.read(request);
    if ("batches" in result) this.#readBytes += result.batches.length;
    return result;
  }

  async inspect(): Promise<{ readonly sockets: number; readonly readBytes: number }> {
    return { sockets: this.ctx.getWebSockets().length, readBytes: this.#readBytes };
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
    const inspected = await Promise.all(names.map((name) => env.PARTITION.getByName(name).inspect()));
    const held: Held = {
      requestBytesLeft: requestBytes.left,
      fetchBytesLeft: fetchBytes.left,
      sockets: inspected.reduce((sum, { sockets }) => sum + sockets, 0),
      readBytes: inspected.reduce((sum, { readBytes }) => sum + readBytes, 0),
    };
    return Response.json(held);
  },
  connect: worker.connect,
} satisfies ExportedHandler<InspectedEnv>;
