import { type Failure, failure } from "../model/errors.ts";
import { inTime } from "../model/in-time.ts";

/** The result, or REQUEST_TIMED_OUT when the deadline (`Date.now()`) comes first; the work behind it goes on. */
export async function byDeadline<T>(work: () => Promise<T>, deadlineMs: number): Promise<T | Failure> {
  if (deadlineMs === Number.POSITIVE_INFINITY) return work();
  const leftMs = deadlineMs - Date.now();
  return leftMs <= 0 ? tooLate() : inTime(work(), leftMs, tooLate);
}

function tooLate(): Failure {
  return failure("REQUEST_TIMED_OUT", "there was no time left to ask");
}
