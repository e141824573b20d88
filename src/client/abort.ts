/**
 * Aborting. An AbortSignal is meant for a few listeners (Node warns of more than ten), while everything that the SDK does at
 * once may wait on the same one: so each signal gets one listener of ours, and that tells all others.
 */

/** The part of an `AbortSignal` that the SDK uses. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
}

/** A signal and its controller in one, for any number of listeners. */
export class Stop implements AbortSignalLike {
  readonly #listeners = new Set<() => void>();
  #isAborted = false;
  #reason: unknown;

  get aborted(): boolean {
    return this.#isAborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#isAborted) throw this.#reason;
  }

  abort(reason: unknown): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeListener(listener: () => void): void {
    this.#listeners.delete(listener);
  }
}

const shared = new WeakMap<AbortSignalLike, Stop>();

/** Calls the listener when the signal aborts; if it has, that is past. Returns how to stop listening. */
export function onAbort(signal: AbortSignalLike | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  const stop = signal instanceof Stop ? signal : sharedStop(signal);
  stop.addEventListener("abort", listener);
  return () => stop.removeListener(listener);
}

function sharedStop(signal: AbortSignalLike): Stop {
  let stop = shared.get(signal);
  if (stop === undefined) {
    const made = new Stop();
    signal.addEventListener("abort", () => made.abort(signal.reason));
    shared.set(signal, made);
    stop = made;
  }
  return stop;
}
