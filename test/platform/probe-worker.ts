/** A Worker that shows what reaches it: not part of the product. */

import { DurableObject } from "cloudflare:workers";

interface ProbeEnv {
  readonly PARTITION: DurableObjectNamespace<PartitionLog>;
  readonly EDGELOG_OPEN?: string;
  readonly EDGELOG_ROOT_TOKEN?: string;
  readonly EDGELOG_NUM_PARTITIONS?: string;
  readonly EDGELOG_KAFKA_PORTS?: string;
}

export class Controller extends DurableObject {}
export class GroupCoordinator extends DurableObject {}
export class TransactionCoordinator extends DurableObject {}

/** Counts, durably. */
export class PartitionLog extends DurableObject {
  async increment(): Promise<number> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/throw") throw new Error("thrown by the probe");
    if (pathname === "/vars") {
      const { EDGELOG_OPEN, EDGELOG_ROOT_TOKEN, EDGELOG_NUM_PARTITIONS, EDGELOG_KAFKA_PORTS } = env;
      return Response.json({ EDGELOG_OPEN, EDGELOG_ROOT_TOKEN, EDGELOG_NUM_PARTITIONS, EDGELOG_KAFKA_PORTS });
    }
    return Response.json(await env.PARTITION.getByName("counter").increment());
  },
  async connect(socket): Promise<void> {
    await socket.readable.pipeTo(socket.writable);
  },
} satisfies ExportedHandler<ProbeEnv>;
