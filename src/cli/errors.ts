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

/** Why an address cannot be listened on, and which flags choose another port or host. */
export function listenFailure(
  error: NodeJS.ErrnoException,
  host: string,
  port: number,
  portFlag: string,
  hostFlag: string,
): CliError {
  const reasons: Record<string, string> = {
    EADDRINUSE: `the port is in use. Stop what listens there or choose another with ${portFlag}`,
    EACCES: `this user may not use the port. Choose one above 1023 with ${portFlag}`,
    EADDRNOTAVAIL: `this machine has no such address. Choose another ${hostFlag}`,
    ENOTFOUND: `the host name is unknown. Choose another ${hostFlag}`,
  };
  const reason = reasons[error.code ?? ""] ?? error.message;
  return new CliError(`Cannot listen on ${host}:${port}: ${reason}.`);
}
