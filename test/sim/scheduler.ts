/**
 * Simulated time. Everything that waits for something stands in one queue, and the seed alone decides what comes next: no
 * real timer, no real time, no I/O. What one event sets off in promises is run to its end before the next event begins.
 */

import type { Random } from "../crash/random.ts";

/** Whose code an event runs: it hears when nothing of that event is left to run. */
export interface TurnTaker {
  /** How far its clock is from the true time, in ms. */
  readonly clockSkewMs: number;
  endTurn(): void;
}

interface Event {
  readonly atMs: number;
  /** Decides between events of the same time. */
  readonly tie: number;
  readonly run: () => void;
}

const BEGIN_MS = Date.UTC(2027, 0, 1);

export class Scheduler {
  readonly random: Random;
  /** The true time, in ms. */
  nowMs = BEGIN_MS;
  /** Whose turn it is; nobody's while what is outside the platform runs. */
  current: TurnTaker | undefined;
  eventsRun = 0;
  /** Latest first. */
  readonly #events: Event[] = [];

  constructor(random: Random) {
    this.random = random;
  }

  /** What `Date.now` says to whoever runs. */
  clock(): number {
    return this.nowMs + (this.current?.clockSkewMs ?? 0);
  }

  after(ms: number, run: () => void): void {
    const event = { atMs: this.nowMs + Math.max(0, ms), tie: this.random.next(), run };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#events[middle];
      const isLater = other !== undefined && (other.atMs - event.atMs || other.tie - event.tie) > 0;
      if (isLater) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  /** When the next event is due, if there is one. */
  get nextAtMs(): number | undefined {
    return this.#events.at(-1)?.atMs;
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Runs the next event; false if there is none. */
  async step(): Promise<boolean> {
    const event = this.#events.pop();
    if (event !== undefined) {
      this.nowMs = event.atMs;
      this.eventsRun++;
      event.run();
    }
    await drained();
    this.current?.endTurn();
    this.current = undefined;
    return event !== undefined;
  }
}

/** Resolves when no promise is left whose reactions could run: Node empties that queue before the next tick. */
function drained(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
