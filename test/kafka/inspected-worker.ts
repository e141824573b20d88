/** The Worker with a window to what it holds for Kafka connections. Nothing else differs from the real one. */

import { PartitionLog as RealPartitionLog } from "../../durable-objects/partition/partition-log.ts";
import { PartitionSession } from "../../durable-objects/partition/partition-session.ts";
import type { ReadRequest, ReadResult } from "../../durable-objects/partition/rpc.ts";
import type { Env } from "../../src/env.ts";
import { fetchBytes, requestBytes } from "../../src/kafka/byte-budget.ts";
import worker from "../../src/worker.ts";
import { HELD_PATH, type Held } from "./inspection.ts";

// But for PartitionLog, which is our own.
export * from "../../src/worker.ts";

export class PartitionLog extends RealPartitionLog {
  #readBytes = 0;
  #sessions = 0;

  override async read(request: ReadRequest): Promise<ReadResult> {
    const result = await super.read(request);
    if ("batches" in result) this.#readBytes += result.batches.length;
    return result;
  }

  override session(): PartitionSession {
    this.#sessions++;
    return new CountedSession(this, () => {
      this.#sessions--;
    });
  }

  async inspect(): Promise<Inspected> {
    const sockets = this.ctx.getWebSockets().length;
    return { sockets, sessions: this.#sessions, readBytes: this.#readBytes };
  }
}

class CountedSession extends PartitionSession {
  readonly #ended: () => void;

  constructor(leader: PartitionLog, ended: () => void) {
    super(leader);
    this.#ended = ended;
  }

  [Symbol.dispose](): void {
    this.#ended();
  }
}

type Inspected = Pick<Held, "sockets" | "sessions" | "readBytes">;

interface InspectedEnv extends Omit<Env, "PARTITION"> {
  readonly PARTITION: DurableObjectNamespace<PartitionLog>;
}

export default {
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== HELD_PATH) return worker.fetch(request, env, context);
    const names = searchParams.getAll("object");
    const inspected = await Promise.all(names.map((name) => env.PARTITION.getByName(name).inspect()));
    const sum = (what: keyof Inspected) => inspected.reduce((total, one) => total + one[what], 0);
    const held: Held = {
      requestBytesLeft: requestBytes.left,
      fetchBytesLeft: fetchBytes.left,
      sockets: sum("sockets"),
      sessions: sum("sessions"),
      readBytes: sum("readBytes"),
    };
    return Response.json(held);
  },
  connect: worker.connect,
} satisfies ExportedHandler<InspectedEnv>;
