import { type Failure, failure } from "../model/errors.ts";

/** The platform refused the call before it began; calling again at once would make it worse. */
export function isOverloaded(error: unknown): boolean {
  return typeof error === "object" && error !== null && "overloaded" in error && error.overloaded === true;
}

/**
 * What is asked. The outcome of an append that was not answered is told as REQUEST_TIMED_OUT, as a leader says it that
 * has written and waits for its replicas: every client sends such a batch again, and takes it for possibly stored.
 * KAFKA_STORAGE_ERROR is to librdkafka a promise that nothing was stored.
 */
export type CallKind = "read" | "write" | "append";

/**
 * What a call to a Durable Object came to that ended in an exception: always retriable, with a new stub. An exception
 * does not tell whether the object has done what it was asked.
 */
export function stubFailure(error: unknown, object: string, kind: CallKind = "read"): Failure {
  if (isOverloaded(error)) {
    return failure(
      "THROTTLING_QUOTA_EXCEEDED",
      `${object} has too many requests waiting; slow down and retry`,
    );
  }
  console.warn(`a call to ${object} failed:`, error);
  return failure(
    kind === "append" ? "REQUEST_TIMED_OUT" : "KAFKA_STORAGE_ERROR",
    `${object} failed before it could answer; the outcome of a write is unknown. Retry: an idempotent producer does not write twice`,
  );
}

/**
 * Makes the call, and if it only reads once more after an exception. An exception breaks the stub that it came from, so
 * `makeCall` must not use that one again.
 */
export async function callObject<T>(
  object: string,
  kind: CallKind,
  makeCall: () => Promise<T>,
): Promise<T | Failure> {
  for (let callsLeft = kind === "read" ? 2 : 1; ; ) {
    try {
      return await makeCall();
    } catch (error) {
      callsLeft -= 1;
      if (callsLeft === 0 || isOverloaded(error)) return stubFailure(error, object, kind);
    }
  }
}
