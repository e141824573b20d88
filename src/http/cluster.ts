/** GET /v1/cluster */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { newRoutes } from "./context.ts";
import { errorResponses } from "./errors.ts";
import { json, NoQuery } from "./schemas.ts";

const ClusterAnswer = z
  .object({
    cluster_id: z.string().openapi({ description: "Kafka's cluster id.", example: "gkKpDh1ATlWcWqFr_zWPvA" }),
    topics: z.int().openapi({ description: "How many there are." }),
    partitions: z.int().openapi({ description: "Of all topics together, used or not." }),
    groups: z.int().openapi({ description: "Consumer groups." }),
    principal: z.string().openapi({ description: "Who is asking.", example: "User:root" }),
  })
  .openapi("Cluster");

export const clusterRoutes = newRoutes().openapi(
  createRoute({
    method: "get",
    path: "/v1/cluster",
    tags: ["cluster"],
    summary: "Describe the cluster",
    request: { query: NoQuery },
    responses: {
      200: { description: "The cluster.", content: json(ClusterAnswer) },
      ...errorResponses("KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { clusterId, topics, partitions, groups } = await new Cluster(c.env).controller.describeCluster();
    return c.json(
      { cluster_id: clusterId, topics, partitions, groups, principal: c.get("principal").name },
      200,
    );
  },
);
