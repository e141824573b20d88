import { EdgelogError } from "../../model/errors.ts";
import type { AbortSignalLike } from "../abort.ts";
import { property, type Transport } from "../transport.ts";

/** Browsers cannot set headers on a WebSocket; a ticket in the URL stands for the token, once. undefined: none is needed. */
export async function webSocketTicket(
  transport: Transport,
  signal: AbortSignalLike,
): Promise<string | undefined> {
  if (transport.options.token === undefined) return undefined;
  const answer = await transport.call({ method: "POST", path: "/v1/tickets", signal });
  const ticket = property(answer, "ticket");
  if (typeof ticket === "string") return ticket;
  throw new EdgelogError("NETWORK_EXCEPTION", "the answer of POST /v1/tickets has no ticket");
}
