/** POST /v1/producers: an identity for idempotent producing, as Kafka's InitProducerId gives it. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { json, NoQuery } from "./schemas.ts";

const ProducerAnswer = z
  .object({ producer_id: z.int().openapi({ format: "int64" }), producer_epoch: z.int() })
  .openapi("Producer");

export const producerRoutes = newRoutes().openapi(
  createRoute({
    method: "post",
    path: "/v1/producers",
    tags: ["records"],
    summary: "Get a producer id",
    description:
      "Send it with the records, with `base_sequence` counting the records sent to a partition so far: a request that is sent again is then stored once.",
    request: { query: NoQuery },
    responses: {
      201: { description: "A producer id that nobody else has.", content: json(ProducerAnswer) },
      ...errorResponses("KAFKA_STORAGE_ERROR", "THROTTLING_QUOTA_EXCEEDED"),
    },
  }),
  async (c) => c.json({ producer_id: await new Cluster(c.env).allocateProducerId(), producer_epoch: 0 }, 201),
);
