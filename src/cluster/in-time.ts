import { type Failure, failure } from "../model/errors.ts";

/** The result, or REQUEST_TIMED_OUT when the deadline (`Date.now()`) comes first; the work behind it goes on. */
export async function inTime<T>(work: () => Promise<T>, deadlineMs: number): Promise<T | Failure> {
  if (deadlineMs === Number.POSITIVE_INFINITY) return work();
  const leftMs = deadlineMs - Date.now();
  if (leftMs <= 0) return tooLate();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Failure>((resolve) => {
    timer = setTimeout(() => resolve(tooLate()), leftMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(): Failure {
  return failure("REQUEST_TIMED_OUT", "there was no time left to ask");
}
