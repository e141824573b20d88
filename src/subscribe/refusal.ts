import { errorRow, type Failure } from "../model/errors.ts";

/** A failure as the answer of an HTTP request: `{"error":{"code","message","retriable"}}`. */
export function refusal({ error, message }: Failure): Response {
  const { status, retriable } = errorRow(error);
  return Response.json({ error: { code: error, message, retriable } }, { status });
}
