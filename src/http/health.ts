/** GET /healthz: the one resource that is open to everyone. */

import { createRoute, z } from "@hono/zod-openapi";
import { newRoutes } from "./context.ts";
import { json } from "./schemas.ts";

export const healthRoutes = newRoutes().openapi(
  createRoute({
    method: "get",
    path: "/healthz",
    tags: ["cluster"],
    summary: "Whether the Worker runs",
    security: [],
    responses: {
      200: {
        description: "It does.",
        content: json(z.object({ status: z.literal("ok") }).openapi("Health")),
      },
    },
  }),
  (c) => c.json({ status: "ok" } as const, 200),
);
