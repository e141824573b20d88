/** The one place where errors become HTTP: status and body come from the registry in model/errors.ts. */

import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z as zod } from "zod";
import {
  EdgelogError,
  type ErrorName,
  errorRow,
  type Failure,
  failure,
  isErrorName,
} from "../model/errors.ts";
import { quote } from "../model/quote.ts";

export const ErrorDetail = z
  .object({
    code: z
      .string()
      .openapi({ description: "The error's name, as in Kafka.", example: "UNKNOWN_TOPIC_OR_PARTITION" }),
    message: z.string().openapi({ description: "What was wrong and what to do about it." }),
    retriable: z.boolean().openapi({ description: "The same request may succeed when it is sent again." }),
  })
  .openapi("ErrorDetail");

export const ErrorAnswer = z.object({ error: ErrorDetail }).openapi("Error");

/** The `error` of an answer. */
export function errorDetail({ error, message }: Failure): z.infer<typeof ErrorDetail> {
  return { code: error, message, retriable: errorRow(error).retriable };
}

/** An answer that refuses; `beside` is what else the caller may want to know. */
export function errorResponse(failed: Failure, beside: Readonly<Record<string, unknown>> = {}): Response {
  const { status } = errorRow(failed.error);
  const headers = new Headers({ "content-type": "application/json" });
  if (status === 401) headers.set("www-authenticate", 'Bearer realm="edgelog"');
  if (status === 429 || status === 503) headers.set("retry-after", "1");
  return new Response(JSON.stringify({ error: errorDetail(failed), ...beside }), { status, headers });
}

/** What OFFSET_OUT_OF_RANGE says beside itself: which offsets there are. */
export function boundsBeside(bounds: {
  readonly logStartOffset?: number;
  readonly highWatermark?: number;
}): Record<string, number> {
  const { logStartOffset, highWatermark } = bounds;
  return {
    ...(logStartOffset !== undefined && { log_start_offset: logStartOffset }),
    ...(highWatermark !== undefined && { high_watermark: highWatermark }),
  };
}

/** Any route may answer so. */
const EVERYWHERE: readonly ErrorName[] = [
  "INVALID_REQUEST",
  "SASL_AUTHENTICATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "UNKNOWN_SERVER_ERROR",
];

/** The error answers of a route for its OpenAPI `responses`, grouped by their statuses. */
export function errorResponses(...names: readonly ErrorName[]): Record<never, never> {
  const byStatus = new Map<number, ErrorName[]>();
  for (const name of [...names, ...EVERYWHERE]) {
    const { status } = errorRow(name);
    byStatus.set(status, [...new Set([...(byStatus.get(status) ?? []), name])]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        description: group.map((name) => `\`${name}\`: ${errorRow(name).description}`).join("\n\n"),
        content: { "application/json": { schema: ErrorAnswer } },
      },
    ]),
  );
}

/** What a handler throws for input that it has parsed and found wrong. */
export function invalid(message: string): EdgelogError {
  return new EdgelogError("INVALID_REQUEST", message);
}

/** A rule for a schema's `superRefine`: the failure's own error reaches the caller, not just INVALID_REQUEST. */
export function rule<T>(problem: (value: T) => Failure | undefined) {
  return (value: T, context: zod.core.$RefinementCtx<T>): void => {
    const failed = problem(value);
    if (failed === undefined) return;
    context.addIssue({ code: "custom", message: failed.message, params: { error: failed.error } });
  };
}

// Nothing that comes as JSON or in a query string is undefined.
z.config({ customError: ({ input }) => (input === undefined ? "is missing" : undefined) });

/** The first thing that a schema found wrong, as an error; `path` is where what was held against it stands. */
export function validationFailed(
  error: zod.core.$ZodError,
  path: readonly (number | string)[],
): EdgelogError {
  const [issue] = error.issues;
  if (issue === undefined) return invalid("The request does not have the form that the API asks for.");
  const named = issue.code === "custom" ? issue.params?.error : undefined;
  const where = [...path, ...issue.path].map(String).join(".");
  const message = named === undefined ? describe(issue) : issue.message;
  return new EdgelogError(
    isErrorName(named) ? named : "INVALID_REQUEST",
    where === "" ? message : `${where}: ${message}`,
  );
}

function describe(issue: zod.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    return `unknown ${issue.keys.length === 1 ? "name" : "names"} ${issue.keys.slice(0, 5).map(quote).join(", ")}`;
  }
  return issue.message.slice(0, 500);
}

/** Hono's `onError`. */
export function answerError(error: Error, c: Context): Response {
  if (error instanceof EdgelogError) return errorResponse(error.toFailure());
  if (error instanceof HTTPException)
    return errorResponse(failure(nameOfStatus(error.status), error.message || undefined));
  console.error(`${c.req.method} ${c.req.path}:`, error);
  return errorResponse(failure("UNKNOWN_SERVER_ERROR"));
}

function nameOfStatus(status: ContentfulStatusCode): ErrorName {
  if (status === 401) return "SASL_AUTHENTICATION_FAILED";
  if (status === 404) return "NOT_FOUND";
  if (status === 413) return "CONTENT_TOO_LARGE";
  if (status === 415) return "UNSUPPORTED_MEDIA_TYPE";
  return status < 500 ? "INVALID_REQUEST" : "UNKNOWN_SERVER_ERROR";
}
