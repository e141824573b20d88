import { EdgelogError, type Failure, failure } from "../model/errors.ts";
import { READ_BYTES_MAX, REMOTE_READ_BYTES_IN_FLIGHT_MAX, REMOTE_READ_MS_MAX } from "../model/limits.ts";

interface RemoteRead {
  readonly bytes: number;
  readonly startedAtMs: number;
}

/** The reads of R2 that are under way in an isolate, and the bytes that they may bring. */
export class RemoteReads {
  readonly #now: () => number;
  readonly #underWay = new Set<RemoteRead>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * `read` is given how many bytes it may ask for: at most `maxBytes`, less when there is little room. Exceptions become
   * failures: those of R2 are worth a retry.
   */
  async run<T>(maxBytes: number, read: (bytesMax: number) => Promise<T>): Promise<T | Failure> {
    const room = REMOTE_READ_BYTES_IN_FLIGHT_MAX - this.#bytesUnderWay();
    if (room <= 0) {
      return failure("THROTTLING_QUOTA_EXCEEDED", "too many bytes are being read from R2 at once; retry");
    }
    const bytes = Math.max(0, Math.min(maxBytes, READ_BYTES_MAX, room));
    const entry = { bytes, startedAtMs: this.#now() };
    this.#underWay.add(entry);
    try {
      return await read(bytes);
    } catch (error) {
      if (error instanceof EdgelogError) return error.toFailure();
      console.warn("a read of R2 failed:", error);
      return failure("KAFKA_STORAGE_ERROR", "a tiered segment could not be read from R2; retry");
    } finally {
      this.#underWay.delete(entry);
    }
  }

  /** When a client goes away the platform drops its request wherever it waits, and no `finally` of it ever runs. */
  #bytesUnderWay(): number {
    let sum = 0;
    for (const entry of this.#underWay) {
      if (this.#now() - entry.startedAtMs < REMOTE_READ_MS_MAX) sum += entry.bytes;
      else this.#underWay.delete(entry);
    }
    return sum;
  }
}
