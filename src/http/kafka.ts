/** GET /kafka: a WebSocket that carries the Kafka protocol, for `edgelog tunnel`. See docs/kafka.md. */

import { createRoute, z } from "@hono/zod-openapi";
import { parseHostsAndPorts } from "../kafka/brokers.ts";
import { KAFKA_SUBPROTOCOL } from "../kafka/byte-streams.ts";
import { serveKafkaWebSocket } from "../kafka/websocket.ts";
import { EdgelogError } from "../model/errors.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { digits } from "./schemas.ts";

export const kafkaRoutes = newRoutes();

kafkaRoutes.openapi(
  createRoute({
    method: "get",
    path: "/kafka",
    tags: ["kafka"],
    summary: "Speak the Kafka protocol through a WebSocket",
    description: "For `edgelog tunnel`. docs/kafka.md says how its bytes are framed.",
    request: {
      query: z.strictObject({
        advertised: z.string().max(10_000).optional().openapi({
          description: "Needed: where Kafka clients reach the tunnel, as host:port, separated by commas.",
        }),
        broker: digits({ max: 10_000 }).optional().openapi({
          description: "Which of these the client has reached, counted from 0.",
        }),
        ticket: z.string().max(1_000).optional().openapi({ description: "From `POST /v1/tickets`." }),
      }),
    },
    responses: { 101: { description: "The WebSocket is open." }, ...errorResponses("UPGRADE_REQUIRED") },
  }),
  (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      throw new EdgelogError("UPGRADE_REQUIRED", "GET /kafka is a WebSocket; connect with `edgelog tunnel`.");
    }
    const advertised = parseHostsAndPorts(c.req.query("advertised") ?? "");
    if (advertised.length === 0) {
      throw new EdgelogError(
        "INVALID_REQUEST",
        "advertised: say where Kafka clients reach the tunnel, as host:port (several separated by commas are as many brokers).",
      );
    }
    const { 0: client, 1: server } = new WebSocketPair();
    const address = c.req.header("cf-connecting-ip");
    const served = serveKafkaWebSocket(server, {
      env: c.env,
      principal: c.var.principal,
      clientHost: address === undefined ? "" : `/${address}`,
      advertised,
      reachedId: c.req.valid("query").broker,
    });
    c.executionCtx.waitUntil(served);
    const offered = (c.req.header("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
    const headers = new Headers();
    if (offered.includes(KAFKA_SUBPROTOCOL)) headers.set("sec-websocket-protocol", KAFKA_SUBPROTOCOL);
    return new Response(null, { status: 101, webSocket: client, headers });
  },
);
