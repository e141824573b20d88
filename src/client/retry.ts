/** Waiting, backing off and giving up: what every retry loop of the SDK is made of. */

import { EdgelogError } from "../model/errors.ts";
import { type AbortSignalLike, onAbort } from "./abort.ts";

export interface Backoff {
  /** Before the first retry, in ms. */
  readonly firstMs: number;
  /** Never longer than this, in ms. */
  readonly maxMs: number;
}

/** Kafka's exponential backoff (KIP-580): doubles with every failure, ±20 % so that many clients do not come back in step. */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number, random = Math.random): number {
  const exponential = firstMs * 2 ** Math.min(failures - 1, 30);
  return Math.min(maxMs, exponential) * (0.8 + 0.4 * random());
}

/** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
export function pause(ms: number, signal?: AbortSignalLike): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      end();
      resolve();
    }, ms);
    const end = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
  });
}

export interface RetryOptions extends Backoff {
  /** No try starts later than this (`Date.now()`). */
  readonly deadlineMs: number;
  readonly signal?: AbortSignalLike | undefined;
}

/** Runs it until it succeeds, fails with an error that no retry can cure, or the deadline is near; then throws the last error. */
export async function retrying<T>(run: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await run();
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isRetriable(error) || isUnknownTopic(error)) throw error;
      const wait = backoffMs(options, failures);
      if (Date.now() + wait >= options.deadlineMs) throw error;
      await pause(wait, options.signal);
    }
  }
}

export function isRetriable(error: unknown): error is EdgelogError {
  return error instanceof EdgelogError && error.retriable;
}

/** Retriable in Kafka, where brokers hear of topics late. Here the Controller is asked, and it knows. */
function isUnknownTopic(error: EdgelogError): boolean {
  return error.code === "UNKNOWN_TOPIC_OR_PARTITION" || error.code === "UNKNOWN_TOPIC_ID";
}

/** Waits for the promise, but not longer than the signal allows. The work behind the promise goes on. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignalLike | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const end = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(end);
  });
}
