import { EdgelogError } from "../../model/errors.ts";

export function tooMuchOutput(): EdgelogError {
  return new EdgelogError(
    "MESSAGE_TOO_LARGE",
    "decompressed, the batch is larger than a reader takes; read it as a raw batch instead",
  );
}

export function malformed(codec: string, what: string, cause?: unknown): EdgelogError {
  return new EdgelogError("INVALID_RECORD", `the ${codec} data of the batch is malformed: ${what}`, {
    cause,
  });
}
