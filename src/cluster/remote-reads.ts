import { EdgelogError, type Failure, failure } from "../model/errors.ts";
import { READ_BYTES_MAX, REMOTE_READ_BYTES_IN_FLIGHT_MAX } from "../model/limits.ts";

let bytesInFlight = 0;

/**
 * Runs a read of R2 within what the isolate may hold of such reads at once: `read` is given how many bytes it may ask
 * for, at most `maxBytes`. Exceptions become failures: those of R2 are worth a retry.
 */
export async function remoteRead<T>(
  maxBytes: number,
  read: (bytesMax: number) => Promise<T>,
): Promise<T | Failure> {
  const room = REMOTE_READ_BYTES_IN_FLIGHT_MAX - bytesInFlight;
  if (room <= 0) {
    return failure("THROTTLING_QUOTA_EXCEEDED", `${bytesInFlight} bytes are being read from R2; retry`);
  }
  const bytesMax = Math.max(0, Math.min(maxBytes, READ_BYTES_MAX, room));
  bytesInFlight += bytesMax;
  try {
    return await read(bytesMax);
  } catch (error) {
    if (error instanceof EdgelogError) return error.toFailure();
    console.warn("a read of R2 failed:", error);
    return failure("KAFKA_STORAGE_ERROR", "a tiered segment could not be read from R2; retry");
  } finally {
    bytesInFlight -= bytesMax;
  }
}
