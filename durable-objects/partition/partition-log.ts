import { DurableObject } from "cloudflare:workers";
import type { Env } from "../../src/env.ts";

export class PartitionLog extends DurableObject<Env> {
  who(): string | undefined {
    return this.ctx.id.name;
  }
}
