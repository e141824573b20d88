import { EdgelogError, type ErrorName } from "../model/errors.ts";

/** A command failed for a reason its user can act on: printed without a stack. Exit code 1. */
export class CliError extends Error {
  readonly exitCode: number = 1;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The command line itself is wrong. Exit code 2. */
export class UsageError extends CliError {
  override readonly exitCode = 2;
}

/** Whether the cluster or the SDK answered with this error. */
export function isErrorCode(error: unknown, code: ErrorName): boolean {
  return error instanceof EdgelogError && error.code === code;
}
