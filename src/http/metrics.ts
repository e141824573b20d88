/** GET /metrics: Prometheus' text format. The cluster's own numbers, and what this isolate has counted. */

import { createRoute } from "@hono/zod-openapi";
import { Cluster } from "../cluster/cluster.ts";
import { newRoutes } from "./context.ts";
import { isolateCounters } from "./counters.ts";
import { errorResponses } from "./errors.ts";
import { documentedAnswer } from "./schemas.ts";

const TEXT = "text/plain; version=0.0.4; charset=utf-8";

export const metricsRoutes = newRoutes().openapi(
  createRoute({
    method: "get",
    path: "/metrics",
    tags: ["cluster"],
    summary: "Metrics for Prometheus",
    description:
      "`edgelog_isolate_*` are counters of the isolate that answers, one of many, and start at 0 with it; `isolate_id` tells them apart.",
    responses: {
      200: documentedAnswer({
        description: "Metrics.",
        content: { "text/plain": { schema: { type: "string" } } },
      }),
      ...errorResponses("KAFKA_STORAGE_ERROR"),
    },
  }),
  async (c) => {
    const { topics, partitions } = await new Cluster(c.env).controller.describeCluster();
    const { recordsProduced, bytesProduced, bytesFetched, requests, isolateId } = isolateCounters();
    const isolate = { isolate_id: isolateId };
    return new Response(
      [
        metric("edgelog_topics", "gauge", "Topics.", [[{}, topics]]),
        metric("edgelog_partitions", "gauge", "Partitions of all topics, used or not.", [[{}, partitions]]),
        metric(
          "edgelog_isolate_http_requests_total",
          "counter",
          "HTTP requests this isolate has answered.",
          requests.map(({ method, route, status, count }) => [{ ...isolate, method, route, status }, count]),
        ),
        metric("edgelog_isolate_records_produced_total", "counter", "Records stored through HTTP.", [
          [isolate, recordsProduced],
        ]),
        metric("edgelog_isolate_produced_bytes_total", "counter", "Bytes of batches stored through HTTP.", [
          [isolate, bytesProduced],
        ]),
        metric("edgelog_isolate_fetched_bytes_total", "counter", "Bytes of batches read through HTTP.", [
          [isolate, bytesFetched],
        ]),
      ].join(""),
      { headers: { "content-type": TEXT, "cache-control": "no-store" } },
    );
  },
);

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

function metric(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): string {
  const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
