/** Finds out who is asking, before any route runs. */

import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { Cluster } from "../cluster/cluster.ts";
import {
  bearerToken,
  isOpen,
  type Principal,
  principalOfToken,
  ROOT,
  setupProblem,
  subprotocolToken,
} from "../cluster/principals.ts";
import { EdgelogError, type Failure, failure, unwrap } from "../model/errors.ts";
import type { HttpEnv } from "./context.ts";

/** A deployment that has no secret yet refuses everything. */
export const onlyIfSetUp = createMiddleware<HttpEnv>(async (c, next) => {
  const problem = setupProblem(c.env);
  if (problem !== undefined) throw EdgelogError.from(problem);
  await next();
});

export const authenticated = createMiddleware<HttpEnv>(async (c, next) => {
  c.set("principal", unwrap(await principalOf(c)));
  await next();
});

/**
 * By header; on a WebSocket also by the subprotocol `edgelog.token.<token>`; on a WebSocket or an event stream also by a
 * ticket, because there a browser lets a page set no header. Nowhere else: what stands in a URL ends up in logs.
 */
async function principalOf(c: Context<HttpEnv>): Promise<Principal | Failure> {
  const header = (name: string) => c.req.header(name) ?? null;
  const isWebSocket = header("upgrade")?.toLowerCase() === "websocket";
  const isEventStream = header("accept")?.toLowerCase().includes("text/event-stream") === true;
  const token =
    bearerToken(header("authorization")) ??
    (isWebSocket ? subprotocolToken(header("sec-websocket-protocol")) : undefined);
  if (token !== undefined || isOpen(c.env)) return principalOfToken(c.env, token);
  const ticket = isWebSocket || isEventStream ? c.req.query("ticket") : undefined;
  if (ticket === undefined) return principalOfToken(c.env, undefined);
  if (await new Cluster(c.env).controller.redeemTicket(ticket)) return ROOT;
  return failure(
    "SASL_AUTHENTICATION_FAILED",
    "The ticket is unknown, used or expired; get another from POST /v1/tickets.",
  );
}
