/** GET /v1/groups/{group}/subscribe: a WebSocket that is a member of the group, see docs/groups.md. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { failure, isFailure } from "../model/errors.ts";
import { chooseJsonSubprotocol } from "../subscribe/protocol.ts";
import { newRoutes } from "./context.ts";
import { errorResponse, errorResponses } from "./errors.ts";
import { GroupParams } from "./group-schemas.ts";

export const groupSubscribeRoutes = newRoutes();

groupSubscribeRoutes.openapi(
  createRoute({
    method: "get",
    path: "/v1/groups/{group}/subscribe",
    tags: ["groups"],
    summary: "Be a member of a consumer group",
    description:
      "A WebSocket (subprotocol `edgelog.v1.json`) straight to the group's coordinator: join, be assigned partitions, commit offsets. docs/groups.md has the messages.",
    request: {
      params: GroupParams,
      query: z.strictObject({
        ticket: z.string().max(1_000).optional().openapi({
          description: "From `POST /v1/tickets`, where no header can be set.",
        }),
      }),
    },
    responses: {
      101: { description: "The WebSocket is open." },
      ...errorResponses(
        "INVALID_GROUP_ID",
        "UPGRADE_REQUIRED",
        "THROTTLING_QUOTA_EXCEEDED",
        "COORDINATOR_NOT_AVAILABLE",
      ),
    },
  }),
  async (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      return errorResponse(
        failure("UPGRADE_REQUIRED", "Open a WebSocket here; docs/groups.md has its messages."),
      );
    }
    const subprotocol = chooseJsonSubprotocol(c.req.header("sec-websocket-protocol") ?? null);
    const clientHost = c.req.header("cf-connecting-ip") ?? "";
    const answer = await new Cluster(c.env).group(c.req.valid("param").group).subscribe({
      subprotocol,
      clientHost,
    });
    return isFailure(answer) ? errorResponse(answer) : answer;
  },
);
