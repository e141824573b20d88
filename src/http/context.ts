/** What every resource's file starts from. */

import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Principal } from "../cluster/principals.ts";
import type { Env } from "../env.ts";
import { validationFailed } from "./errors.ts";

export interface HttpEnv {
  Bindings: Env;
  Variables: {
    /** Who is asking; set before any route under authentication runs. */
    principal: Principal;
  };
}

export type HttpContext = Context<HttpEnv>;

/** An app whose routes refuse what does not fit their schemas with the cluster's own errors. */
export function newRoutes(): OpenAPIHono<HttpEnv> {
  return new OpenAPIHono<HttpEnv>({
    defaultHook: (result) => {
      if (!result.success) throw validationFailed(result.error, PLACES[result.target] ?? []);
    },
  });
}

/** Where a request has what Hono validates by these names. */
const PLACES: Readonly<Record<string, readonly string[]>> = { query: ["query"], param: ["path"] };
