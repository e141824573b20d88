/** POST /v1/tickets: for browsers, which can set no header on a WebSocket or an event stream. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { unwrap } from "../model/errors.ts";
import { TICKET_TTL_MS } from "../model/limits.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { json, NoQuery } from "./schemas.ts";

const TicketAnswer = z.object({ ticket: z.string(), expires_at_ms: z.int() }).openapi("Ticket");

export const ticketRoutes = newRoutes().openapi(
  createRoute({
    method: "post",
    path: "/v1/tickets",
    tags: ["subscriptions"],
    summary: "Get a ticket for one subscription",
    description: `Append it as \`?ticket=\` to the subscription's URL within ${TICKET_TTL_MS / 1_000} seconds. It works once.`,
    request: { query: NoQuery },
    responses: {
      201: { description: "A ticket.", content: json(TicketAnswer) },
      ...errorResponses("THROTTLING_QUOTA_EXCEEDED", "KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { ticket, expiresAtMs } = unwrap(await new Cluster(c.env).controller.issueTicket());
    return c.json({ ticket, expires_at_ms: expiresAtMs }, 201);
  },
);
