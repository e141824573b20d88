import { type Failure, failure } from "../model/errors.ts";
import type { RemoteRange } from "../tier/segment-object.ts";

/** The object that the leader named is not in R2. */
export type Missing = Failure & { readonly missing: true };

export function missing({ key }: RemoteRange): Missing {
  return {
    ...failure("KAFKA_STORAGE_ERROR", `the tiered segment ${key} is not in R2; retry`),
    missing: true,
  };
}

/** A tiered segment that is gone has been retained away since the leader answered: the leader is asked again, once. */
export async function askTwice<T extends object>(ask: () => Promise<T | Missing>): Promise<T | Failure> {
  const first = await ask();
  if (!isMissing(first)) return first;
  const second = await ask();
  return isMissing(second) ? failure(second.error, second.message) : second;
}

function isMissing(result: object): result is Missing {
  return "missing" in result;
}
