import { errorRow, isFailure } from "../model/errors.ts";

/** 0 where the result is none of failure. */
export function errorCodeOf(result: object): number {
  return isFailure(result) ? errorRow(result.error).code : 0;
}

/** What was wrong, for the fields that can say it; null where nothing was. */
export function errorMessageOf(result: object): string | null {
  return isFailure(result) ? result.message : null;
}

/** Both fields, as most results have them. */
export function errorFields(result: object | undefined): { errorCode: number; errorMessage: string | null } {
  if (result === undefined) return { errorCode: 0, errorMessage: null };
  return { errorCode: errorCodeOf(result), errorMessage: errorMessageOf(result) };
}
