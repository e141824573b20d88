/** GET /metrics: the cluster's own numbers, how far groups lag, and what this isolate has counted. */

import { createRoute, z } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { traffic } from "../cluster/counters.ts";
import { newRoutes } from "./context.ts";
import { isolateCounters } from "./counters.ts";
import { errorResponses } from "./errors.ts";
import { groupMetrics } from "./group-metrics.ts";
import { GroupId } from "./group-schemas.ts";
import { metric, PROMETHEUS_TEXT } from "./prometheus.ts";
import { documentedAnswer } from "./schemas.ts";

/** Named groups of one scrape. */
const GROUPS_NAMED_MAX = 100;

export const metricsRoutes = newRoutes().openapi(
  createRoute({
    method: "get",
    path: "/metrics",
    tags: ["cluster"],
    summary: "Metrics for Prometheus",
    description:
      "`edgelog_isolate_*` are counters of the isolate that answers, one of many, and start at 0 with it; `isolate_id` tells them apart. `edgelog_consumer_group_*` are asked for: every group is one request, and every partition that groups read another, up to 1,000 groups and 25,000 partitions.",
    request: {
      query: z.strictObject({
        group: z
          .union([GroupId, z.array(GroupId).max(GROUPS_NAMED_MAX)])
          .optional()
          .openapi({ description: "Only this group; may be repeated." }),
        groups: z.enum(["all", "none"]).optional().openapi({
          description: "`none`: nothing of single groups, so that none is asked. Default `all`.",
        }),
      }),
    },
    responses: {
      200: documentedAnswer({
        description: "Metrics.",
        content: { "text/plain": { schema: { type: "string" } } },
      }),
      ...errorResponses("KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { group, groups: which = "all" } = c.req.valid("query");
    const wanted = typeof group === "string" ? [group] : group;
    const cluster = new Cluster(c.env);
    const { topics, partitions, groups } = await cluster.controller.describeCluster();
    const { requests, isolateId } = isolateCounters();
    const { recordsProduced, bytesProduced, bytesFetched, kafkaRequests } = traffic();
    const isolate = { isolate_id: isolateId };
    return new Response(
      [
        metric("edgelog_topics", "gauge", "Topics.", [[{}, topics]]),
        metric("edgelog_partitions", "gauge", "Partitions of all topics, used or not.", [[{}, partitions]]),
        metric("edgelog_consumer_groups", "gauge", "Consumer groups.", [[{}, groups]]),
        which === "none" ? "" : await groupMetrics(cluster, wanted, groups),
        metric(
          "edgelog_isolate_http_requests_total",
          "counter",
          "HTTP requests this isolate has answered.",
          requests.map(({ method, route, status, count }) => [{ ...isolate, method, route, status }, count]),
        ),
        metric(
          "edgelog_isolate_kafka_requests_total",
          "counter",
          "Requests of the Kafka protocol this isolate has taken.",
          kafkaRequests.map(([api, count]) => [{ ...isolate, api }, count]),
        ),
        metric("edgelog_isolate_records_produced_total", "counter", "Records stored through this isolate.", [
          [isolate, recordsProduced],
        ]),
        metric(
          "edgelog_isolate_produced_bytes_total",
          "counter",
          "Bytes of batches stored through this isolate.",
          [[isolate, bytesProduced]],
        ),
        metric(
          "edgelog_isolate_fetched_bytes_total",
          "counter",
          "Bytes of batches read through this isolate.",
          [[isolate, bytesFetched]],
        ),
      ].join(""),
      { headers: { "content-type": PROMETHEUS_TEXT, "cache-control": "no-store" } },
    );
  },
);
