/**
 * Which web pages may talk to this cluster.
 *
 * Where a token is asked for, a page without it can do nothing, and CORS alone decides what it may read. Where none is
 * (a listener on loopback), any page that the user opens could reach the listener: by a form, by a WebSocket, or under a
 * host name of its own that it lets point at 127.0.0.1. So there, the request's host must be loopback and its page must
 * come from loopback too, unless EDGELOG_ALLOWED_ORIGINS names it.
 */

import { cors } from "hono/cors";
import { createMiddleware } from "hono/factory";
import { isOpen } from "../cluster/principals.ts";
import type { Env } from "../env.ts";
import { EdgelogError } from "../model/errors.ts";
import { quote } from "../model/quote.ts";
import type { HttpEnv } from "./context.ts";

const PREFLIGHT_SECONDS = 7_200;

/** Refuses, where no token is asked for, what does not come from this machine. */
export const onlyFromHere = createMiddleware<HttpEnv>(async (c, next) => {
  if (isOpen(c.env)) {
    const { host, protocol } = new URL(c.req.url);
    for (const name of [host, c.req.header("host") ?? host]) {
      if (!isAllowedHost(c.env, `${protocol}//${name}`)) {
        throw new EdgelogError(
          "CLUSTER_AUTHORIZATION_FAILED",
          `Without a token this cluster answers only to localhost and 127.0.0.1, not to the host ${quote(name)}; use one of these, or name its origin in EDGELOG_ALLOWED_ORIGINS.`,
        );
      }
    }
    // An image, a script or a link names no origin; a GET, too, can create a topic.
    const isFromElsewhere = c.req.header("sec-fetch-site") === "cross-site";
    const origin = c.req.header("origin") ?? (isFromElsewhere ? "null" : undefined);
    if (origin !== undefined && !isAllowedOrigin(c.env, origin)) {
      throw new EdgelogError(
        "CLUSTER_AUTHORIZATION_FAILED",
        `Pages of the origin ${quote(origin)} may not use this cluster; name it in EDGELOG_ALLOWED_ORIGINS if they should.`,
      );
    }
  }
  await next();
});

const allowOrigins = cors({
  origin: (origin, c) => (isAllowedOrigin(c.env, origin) ? origin : undefined),
  allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
  allowHeaders: ["Authorization", "Content-Type", "Content-Encoding", "Accept", "Last-Event-ID", "Prefer"],
  exposeHeaders: [
    "Edgelog-Next-Offset",
    "Edgelog-High-Watermark",
    "Edgelog-Log-Start-Offset",
    "Location",
    "Retry-After",
  ],
  maxAge: PREFLIGHT_SECONDS,
});

/** CORS for everything but WebSockets, which have none (and whose 101 answers are immutable). */
export const crossOrigin = createMiddleware<HttpEnv>((c, next) =>
  c.req.header("upgrade") === undefined ? allowOrigins(c, next) : next(),
);

/** Named in EDGELOG_ALLOWED_ORIGINS; or, where no token is asked for, a page served from this machine. */
export function isAllowedOrigin(env: Env, origin: string): boolean {
  const listed = listedOrigins(env);
  return listed.includes("*") || listed.includes(origin.toLowerCase()) || (isOpen(env) && isLoopback(origin));
}

function isAllowedHost(env: Env, origin: string): boolean {
  const listed = listedOrigins(env);
  if (listed.includes("*") || isLoopback(origin)) return true;
  const host = hostOf(origin);
  return host !== undefined && listed.some((allowed) => hostOf(allowed) === host);
}

function isLoopback(origin: string): boolean {
  const hostname = URL.canParse(origin) ? new URL(origin).hostname : "";
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function listedOrigins(env: Env): readonly string[] {
  return (env.EDGELOG_ALLOWED_ORIGINS ?? "")
    .split(",")
    .map((origin) => origin.trim().toLowerCase().replace(/\/$/, ""))
    .filter((origin) => origin !== "");
}
