/** How many bytes the requests of this isolate hold at once. Its memory is shared by all of them. */

import { EdgelogError } from "../model/errors.ts";
import {
  HTTP_ANSWER_BYTES_IN_FLIGHT_MAX,
  HTTP_BODY_BYTES_IN_FLIGHT_MAX,
  HTTP_IN_FLIGHT_MS_MAX,
} from "../model/limits.ts";

/** Part of a budget, held until it is released. */
export interface Hold {
  /** @throws EdgelogError THROTTLING_QUOTA_EXCEEDED */
  grow(bytes: number): void;
  shrink(bytes: number): void;
  /** All of it. */
  release(): void;
}

export class InFlightBytes {
  readonly #bytesMax: number;
  readonly #now: () => number;
  readonly #held = new Set<{ bytes: number; readonly sinceMs: number }>();

  constructor(bytesMax: number, now: () => number = Date.now) {
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  held(): number {
    return this.#bytesOfOthers();
  }

  /** Holds nothing yet. */
  hold(): Hold {
    const entry = { bytes: 0, sinceMs: this.#now() };
    return {
      grow: (bytes) => {
        // The one request that there is may always go on.
        const others = this.#bytesOfOthers(entry);
        if (others > 0 && others + entry.bytes + bytes > this.#bytesMax) {
          throw new EdgelogError(
            "THROTTLING_QUOTA_EXCEEDED",
            `The requests under way hold ${others} bytes of ${this.#bytesMax}; retry, with fewer at a time.`,
          );
        }
        entry.bytes += bytes;
        this.#held.add(entry);
      },
      shrink: (bytes) => {
        entry.bytes -= bytes;
      },
      release: () => {
        entry.bytes = 0;
        this.#held.delete(entry);
      },
    };
  }

  /** When a client goes away the platform drops its request wherever it waits, and no `finally` of it ever runs. */
  #bytesOfOthers(self?: object): number {
    let sum = 0;
    for (const entry of this.#held) {
      if (this.#now() - entry.sinceMs >= HTTP_IN_FLIGHT_MS_MAX) this.#held.delete(entry);
      else if (entry !== self) sum += entry.bytes;
    }
    return sum;
  }
}

export const requestBytes = new InFlightBytes(HTTP_BODY_BYTES_IN_FLIGHT_MAX);
export const answerBytes = new InFlightBytes(HTTP_ANSWER_BYTES_IN_FLIGHT_MAX);
