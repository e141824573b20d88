import { EdgelogError, errorRow, type Failure, failure } from "../model/errors.ts";
import type { ServiceError } from "./service.ts";

/**
 * An error for the other side of a service binding. Own properties cross it (where the caller's compatibility date is
 * 2026-04-21 or later); of others only the message does, which therefore begins with the code.
 */
export function serviceError(
  { error, message }: Failure,
  beside: Omit<ServiceError, "code" | "retriable"> = {},
): Error & ServiceError {
  const { retriable } = errorRow(error);
  return Object.assign(new Error(`${error}: ${message}`), {
    name: "EdgelogError",
    code: error,
    retriable,
    ...beside,
  });
}

/** Runs it, and throws every failure as what a caller can read. */
export async function answering<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof EdgelogError) throw serviceError(error.toFailure());
    if (error instanceof Error && error.name === "EdgelogError") throw error;
    console.error("a call over a service binding failed:", error);
    throw serviceError(failure("UNKNOWN_SERVER_ERROR"));
  }
}
