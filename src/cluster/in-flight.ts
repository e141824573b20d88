/** How many bytes the requests of this isolate hold at once. Its memory is shared by all of them. */

import { EdgelogError } from "../model/errors.ts";
import {
  ANSWER_SHARE_BYTES_MIN,
  HTTP_ANSWER_BYTES_IN_FLIGHT_MAX,
  HTTP_BODY_BYTES_IN_FLIGHT_MAX,
  HTTP_IN_FLIGHT_MS_MAX,
  HTTP_STALLED_MS_MAX,
} from "../model/limits.ts";

/** Part of a budget, held until it is released. */
export interface Hold {
  /** @throws EdgelogError THROTTLING_QUOTA_EXCEEDED */
  grow(bytes: number): void;
  shrink(bytes: number): void;
  /** All of it. */
  release(): void;
  /** It is being used: bytes were taken by whom they are for. */
  progress(): void;
  /** How to take it away from someone who does not use it, where others need it. */
  breakOffBy(breakOff: () => void): void;
}

interface Entry {
  bytes: number;
  readonly sinceMs: number;
  usedAtMs: number;
  breakOff: (() => void) | undefined;
}

export class InFlightBytes {
  readonly #bytesMax: number;
  readonly #now: () => number;
  /** In the order in which they began. */
  readonly #held = new Set<Entry>();

  constructor(bytesMax: number, now: () => number = Date.now) {
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  held(): number {
    return this.#bytesOfOthers(undefined);
  }

  /** Holds nothing yet. */
  hold(): Hold {
    const nowMs = this.#now();
    const entry: Entry = { bytes: 0, sinceMs: nowMs, usedAtMs: nowMs, breakOff: undefined };
    return {
      grow: (bytes) => {
        // The one request that there is may always go on.
        const fits = (others: number) => others === 0 || others + entry.bytes + bytes <= this.#bytesMax;
        this.#make(() => fits(this.#bytesOfOthers(entry)), entry);
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
      progress: () => {
        entry.usedAtMs = this.#now();
      },
      breakOffBy: (breakOff) => {
        entry.breakOff = breakOff;
      },
    };
  }

  /**
   * How many of the bytes that someone wants they may have: at most half of what is free, so that however many are slow,
   * there is room for another.
   *
   * @throws EdgelogError THROTTLING_QUOTA_EXCEEDED
   */
  share(wanted: number): number {
    const half = () => Math.max(0, Math.floor((this.#bytesMax - this.held()) / 2));
    this.#make(() => half() >= Math.min(wanted, ANSWER_SHARE_BYTES_MIN));
    return Math.min(wanted, half());
  }

  /** Takes away from the longest who hold without need, until it is enough. */
  #make(isEnough: () => boolean, forWhom?: Entry): void {
    if (isEnough()) return;
    for (const entry of this.#held) {
      if (entry === forWhom || !this.#isStalled(entry)) continue;
      this.#held.delete(entry);
      entry.breakOff?.();
      if (isEnough()) return;
    }
    throw new EdgelogError(
      "THROTTLING_QUOTA_EXCEEDED",
      `The requests under way hold ${this.#bytesOfOthers(forWhom)} bytes of ${this.#bytesMax}; retry, with fewer at a time.`,
    );
  }

  #isStalled({ sinceMs, usedAtMs, breakOff }: Entry): boolean {
    const nowMs = this.#now();
    return (
      nowMs - sinceMs >= HTTP_IN_FLIGHT_MS_MAX ||
      (breakOff !== undefined && nowMs - usedAtMs >= HTTP_STALLED_MS_MAX)
    );
  }

  #bytesOfOthers(self: Entry | undefined): number {
    let sum = 0;
    for (const entry of this.#held) if (entry !== self) sum += entry.bytes;
    return sum;
  }
}

export const requestBytes = new InFlightBytes(HTTP_BODY_BYTES_IN_FLIGHT_MAX);
export const answerBytes = new InFlightBytes(HTTP_ANSWER_BYTES_IN_FLIGHT_MAX);
