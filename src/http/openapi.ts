/** GET /v1/openapi.json: made of the same schemas that requests are held against. */

import type { OpenAPIHono } from "@hono/zod-openapi";
import type { HttpEnv } from "./context.ts";

const DESCRIPTION = `A commit log with Kafka's semantics. Every error is \`{"error":{"code","message","retriable"}}\`, with Kafka's error names; \`retriable\` says that the same request may succeed when it is sent again. Unknown query parameters and unknown members of a JSON body are refused.`;

/** Adds the document of all routes that `app` has so far. */
export function addDocument(app: OpenAPIHono<HttpEnv>): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "token", {
    type: "http",
    scheme: "bearer",
    description: "The secret EDGELOG_ROOT_TOKEN. `edgelog serve` on loopback asks for none.",
  });
  let document: string | undefined;
  app.get("/v1/openapi.json", (c) => {
    document ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: {
          title: "Edgelog",
          version: "1",
          description: DESCRIPTION,
          license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        servers: [{ url: "/" }],
        security: [{ token: [] }],
        tags: ["records", "subscriptions", "topics", "partitions", "groups", "cluster", "kafka"].map(
          (name) => ({
            name,
          }),
        ),
      }),
    );
    return c.body(document, 200, { "content-type": "application/json" });
  });
}
