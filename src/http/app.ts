/** The HTTP API: who may ask, then one file per resource. */

import type { OpenAPIHono } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { failure } from "../model/errors.ts";
import { quote } from "../model/quote.ts";
import { authenticated, onlyIfSetUp } from "./authentication.ts";
import { bodyReleased } from "./body.ts";
import { clusterRoutes } from "./cluster.ts";
import { consumeRoutes } from "./consume.ts";
import { type HttpEnv, newRoutes } from "./context.ts";
import { countRequests } from "./counters.ts";
import { deleteRecordsRoutes } from "./delete-records.ts";
import { answerError, errorResponse } from "./errors.ts";
import { groupOffsetRoutes } from "./group-offsets.ts";
import { groupPollRoutes } from "./group-poll.ts";
import { groupSubscribeRoutes } from "./group-subscribe.ts";
import { groupRoutes } from "./groups.ts";
import { healthRoutes } from "./health.ts";
import { kafkaRoutes } from "./kafka.ts";
import { metricsRoutes } from "./metrics.ts";
import { offsetRoutes } from "./offsets.ts";
import { addDocument } from "./openapi.ts";
import { crossOrigin, onlyFromHere } from "./origins.ts";
import { partitionRoutes } from "./partitions.ts";
import { produceRoutes } from "./produce.ts";
import { producerRoutes } from "./producers.ts";
import { subscribeRoutes } from "./subscribe.ts";
import { ticketRoutes } from "./tickets.ts";
import { topicRoutes } from "./topics.ts";

/** The order of the first lines is the order in which a request must pass them. */
export function createApp(): OpenAPIHono<HttpEnv> {
  const app = newRoutes();
  app.onError(answerError);
  app.use(countRequests, bodyReleased);
  app.route("/", healthRoutes);
  app.use(onlyIfSetUp, onlyFromHere, crossOrigin, authenticated, unsniffed, headOnly);
  for (const routes of [
    metricsRoutes,
    clusterRoutes,
    topicRoutes,
    partitionRoutes,
    produceRoutes,
    consumeRoutes,
    deleteRecordsRoutes,
    offsetRoutes,
    producerRoutes,
    subscribeRoutes,
    groupRoutes,
    groupOffsetRoutes,
    groupPollRoutes,
    groupSubscribeRoutes,
    ticketRoutes,
    kafkaRoutes,
  ]) {
    app.route("/", routes);
  }
  addDocument(app);
  app.notFound((c) => notFound(app, c.req.method, c.req.path));
  return app;
}

/** What a producer chose must not run as a page of this origin. A WebSocket's 101 is immutable and needs it not. */
const unsniffed = createMiddleware<HttpEnv>(async (c, next) => {
  await next();
  if (c.res.status !== 101) c.res.headers.set("x-content-type-options", "nosniff");
});

/** An answer to HEAD leaves its body behind: whoever makes it and holds memory for it must hear that nobody reads it. */
const headOnly = createMiddleware<HttpEnv>(async (c, next) => {
  await next();
  if (c.req.method === "HEAD") await c.res.body?.cancel();
});

/** 405 where the path exists for other methods. */
function notFound(app: OpenAPIHono<HttpEnv>, method: string, path: string): Response {
  const methods = new Set(
    app.routes
      .filter((route) => route.method !== "ALL" && pathPattern(route.path).test(path))
      .map((route) => route.method),
  );
  if (methods.size === 0) {
    const message = `There is nothing at ${quote(path)}; /v1/openapi.json says what there is.`;
    return errorResponse(failure("NOT_FOUND", message));
  }
  if (methods.has("GET")) methods.add("HEAD");
  const allowed = [...methods].sort().join(", ");
  const response = errorResponse(
    failure("METHOD_NOT_ALLOWED", `${quote(path)} knows ${allowed}, not ${quote(method)}.`),
  );
  response.headers.set("allow", allowed);
  return response;
}

function pathPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/[.+*?^$()[\]{}|\\]/g, "\\$&").replaceAll(/:[^/]+/g, "[^/]+")}$`);
}
