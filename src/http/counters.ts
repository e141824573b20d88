/** The HTTP requests that this isolate has answered since it started. A cluster runs in many isolates: sum over them. */

import { createMiddleware } from "hono/factory";
import { routePath } from "hono/route";
import type { HttpEnv } from "./context.ts";

/** `method route status` → requests. Bounded: routes are patterns, not paths. */
const requests = new Map<string, number>();
const METHODS: ReadonlySet<string> = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);

export const countRequests = createMiddleware<HttpEnv>(async (c, next) => {
  await next();
  const method = METHODS.has(c.req.method) ? c.req.method : "other";
  const key = JSON.stringify([method, routePath(c, -1), String(c.res.status)]);
  requests.set(key, (requests.get(key) ?? 0) + 1);
});

/** Made at the first question: an isolate has no randomness before its first request. */
let isolateId: string | undefined;

export interface IsolateCounters {
  readonly isolateId: string;
  readonly requests: readonly {
    readonly method: string;
    readonly route: string;
    readonly status: string;
    readonly count: number;
  }[];
}

export function isolateCounters(): IsolateCounters {
  isolateId ??= crypto.randomUUID();
  return {
    isolateId,
    requests: [...requests].map(([key, count]) => {
      const [method = "", route = "", status = ""]: string[] = JSON.parse(key);
      return { method, route, status, count };
    }),
  };
}
