import { type Failure, isFailure } from "../../src/model/errors.ts";

/** The result of something that must not be refused. */
export function ok<T>(result: T): Exclude<T, Failure> {
  if (!isResult(result)) throw new Error(`refused: ${JSON.stringify(result)}`);
  return result;
}

/** The failure of something that must be refused. */
export function refused(result: unknown): Failure {
  if (!isFailure(result)) throw new Error(`not refused: ${JSON.stringify(result)}`);
  return result;
}

function isResult<T>(result: T): result is Exclude<T, Failure> {
  return !isFailure(result);
}
