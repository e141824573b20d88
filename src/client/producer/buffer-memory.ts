import { EdgelogError } from "../../model/errors.ts";

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
  readonly refuse: (reason: unknown) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/**
 * The bytes of records that were accepted and are not yet acknowledged, bounded by `bufferMemory`. Whoever finds no room
 * waits in line: a small record never overtakes a large one, so records enter in the order in which they were sent.
 */
export class BufferMemory {
  readonly #totalBytes: number;
  readonly #maxBlockMs: number;
  readonly #line = new Set<Waiter>();
  #usedBytes = 0;

  constructor(totalBytes: number, maxBlockMs: number) {
    this.#totalBytes = totalBytes;
    this.#maxBlockMs = maxBlockMs;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes the room at once, if there is enough and nobody waits for it. */
  tryAcquire(bytes: number): boolean {
    if (this.#line.size > 0 || this.#usedBytes + bytes > this.#totalBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /**
   * Waits in line: `admit` runs in the turn in which the room was given, `refuse` with REQUEST_TIMED_OUT after `maxBlockMs`.
   * Returns how to leave the line without either.
   */
  wait(bytes: number, admit: () => void, refuse: (reason: unknown) => void): () => void {
    const timer = setTimeout(() => {
      leave();
      const message = `bufferMemory (${this.#totalBytes} bytes) had no room within maxBlockMs (${this.#maxBlockMs})`;
      refuse(new EdgelogError("REQUEST_TIMED_OUT", message));
    }, this.#maxBlockMs);
    const waiter: Waiter = { bytes, admit, refuse, timer };
    const leave = () => {
      clearTimeout(timer);
      if (this.#line.delete(waiter)) this.#admitNext();
    };
    this.#line.add(waiter);
    return leave;
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#admitNext();
  }

  /** Refuses all who wait. */
  refuseAll(reason: unknown): void {
    const line = [...this.#line];
    this.#line.clear();
    for (const { timer, refuse } of line) {
      clearTimeout(timer);
      refuse(reason);
    }
  }

  #admitNext(): void {
    for (const waiter of this.#line) {
      if (this.#usedBytes + waiter.bytes > this.#totalBytes) return;
      this.#line.delete(waiter);
      clearTimeout(waiter.timer);
      this.#usedBytes += waiter.bytes;
      waiter.admit();
    }
  }
}
