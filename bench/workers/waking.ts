/** The Worker, whose group coordinators write down whatever wakes them. Kept by the isolate, which outlives its objects. */

import { GroupCoordinator as RealGroupCoordinator } from "../../durable-objects/group/group-coordinator.ts";
import type { Env } from "../../src/env.ts";
import worker from "../../src/worker.ts";

// But for GroupCoordinator, which is our own.
export * from "../../src/worker.ts";

export interface Wake {
  readonly atMs: number;
  readonly what: "made" | "alarm" | "socket" | "message" | "closed";
}

const wakes: Wake[] = [];

function wrote(what: Wake["what"]): void {
  wakes.push({ atMs: Date.now(), what });
}

export class GroupCoordinator extends RealGroupCoordinator {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    wrote("made");
  }

  override alarm(): Promise<void> {
    wrote("alarm");
    return super.alarm();
  }

  override fetch(request: Request): Promise<Response> {
    wrote("socket");
    return super.fetch(request);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    wrote("message");
    return super.webSocketMessage(socket, message);
  }

  override webSocketClose(socket: WebSocket): void {
    wrote("closed");
    super.webSocketClose(socket);
  }
}

export default {
  ...worker,
  fetch(request, env, context) {
    if (new URL(request.url).pathname === "/bench/wakes") return Response.json(wakes);
    return worker.fetch(request, env, context);
  },
} satisfies ExportedHandler<Env>;
