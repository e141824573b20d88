/** When the platform is killed, and what it was doing then. */

import type { Random } from "./random.ts";

/** Events of the faulty Worker that a kill may wait for. */
const EVENTS = [
  "put begins",
  "put ends",
  "head begins",
  "head ends",
  "get begins",
  "delete begins",
  "delete ends",
  "list begins",
  "list ends",
  "roll",
  "drop",
  "forget",
] as const;

export type KillPlan =
  /** While it starts: so long after it was spawned. */
  | { readonly kind: "startup"; readonly afterMs: number }
  /** So long after it listens, with producers and readers at it from the first moment on. */
  | { readonly kind: "wake"; readonly afterMs: number }
  /** So long after everything was verified and the producers were let go. */
  | { readonly kind: "moment"; readonly afterMs: number }
  /** As `moment`, but so long after an event has come `nth` times: one of the faulty Worker, an ack, a request of a rebalance. */
  | { readonly kind: "event"; readonly event: string; readonly nth: number; readonly afterMs: number };

export function planKill(random: Random, isFaulty: boolean): KillPlan {
  const draw = random.next();
  if (draw < 0.07) return { kind: "startup", afterMs: random.integer(0, 2_000) };
  if (draw < 0.22) return { kind: "wake", afterMs: random.integer(0, 400) };
  if (draw < 0.4) return { kind: "moment", afterMs: random.integer(20, 2_000) };
  if (draw < 0.5) {
    return { kind: "event", event: REBALANCE, nth: random.integer(1, 40), afterMs: random.integer(0, 30) };
  }
  // At once: what was acknowledged a moment too early is not stored yet.
  if (draw < 0.65 || !isFaulty) return { kind: "event", event: ACK, nth: random.integer(1, 400), afterMs: 0 };
  const event = random.pick(EVENTS);
  return { kind: "event", event, nth: random.integer(1, 25), afterMs: random.integer(0, 8) };
}

/** A producer has received one. */
export const ACK = "ack";
/** A member of a group joins, or fetches its assignment. */
export const REBALANCE = "rebalance";

/** No event came as often: the kill comes anyway. */
export const EVENT_MS_MAX = 3_000;
const RECENT_MS = 30;

/** Listens to the faulty Worker, and to producers. */
export class Activity {
  readonly #inFlight = new Map<string, number>();
  readonly #lastMs = new Map<string, number>();
  #awaited: { readonly event: string; left: number; readonly done: () => void } | undefined;

  /** A new process has nothing under way. */
  reset(): void {
    this.#inFlight.clear();
    this.#lastMs.clear();
    this.#awaited = undefined;
  }

  happened(event: string): void {
    const [call = "", change] = event.split(" ");
    if (change === "begins") this.#inFlight.set(call, (this.#inFlight.get(call) ?? 0) + 1);
    if (change === "ends") this.#inFlight.set(call, (this.#inFlight.get(call) ?? 0) - 1);
    this.#lastMs.set(event, Date.now());
    if (this.#awaited?.event !== event) return;
    this.#awaited.left -= 1;
    if (this.#awaited.left === 0) this.#awaited.done();
  }

  /** Resolves when the event has come `nth` times from now. */
  wait(event: string, nth: number): Promise<void> {
    return new Promise((done) => {
      this.#awaited = { event, left: nth, done };
    });
  }

  /** What is under way now, or was a moment ago. */
  phases(): string[] {
    const isRecent = (event: string) => Date.now() - (this.#lastMs.get(event) ?? 0) < RECENT_MS;
    const isInFlight = (call: string) => (this.#inFlight.get(call) ?? 0) > 0;
    const phases: readonly (readonly [string, boolean])[] = [
      ["roll", isRecent("roll")],
      ["upload", isInFlight("put")],
      ["between upload and commit", isRecent("put ends")],
      ["drop", isRecent("drop")],
      ["cold read", isInFlight("get")],
      ["retention's object deletion", isInFlight("delete")],
      ["between object deletion and commit", isRecent("delete ends") || isRecent("forget")],
      ["a deleted topic's object walk", isInFlight("list")],
    ];
    return phases.filter(([, is]) => is).map(([phase]) => phase);
  }
}
