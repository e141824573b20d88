import type { DataFrame } from "../../subscribe/frame.ts";
import type { Link } from "./link.ts";

export interface Arrival {
  readonly link: Link;
  readonly frame: DataFrame;
}

/** Frames that have come and that the application has not taken yet, oldest first. What credit allows bounds it. */
export class Inbox<A extends Arrival = Arrival> {
  #arrivals: A[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;
  #failed: { readonly error: unknown } | undefined;

  put(arrival: A): void {
    if (this.#isEnded || this.#failed !== undefined) return;
    this.#arrivals.push(arrival);
    this.#wake?.();
  }

  /** Takes out those that are not wanted any more. */
  withdraw(isUnwanted: (arrival: A) => boolean): A[] {
    const withdrawn = this.#arrivals.filter(isUnwanted);
    if (withdrawn.length > 0) this.#arrivals = this.#arrivals.filter((arrival) => !isUnwanted(arrival));
    return withdrawn;
  }

  /** Nothing more is given out. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  /** What has come before is given out, then the error is thrown. */
  fail(error: unknown): void {
    this.#failed ??= { error };
    this.#wake?.();
  }

  /** Nothing more is given out, and the error is thrown at once. */
  abort(error: unknown): void {
    this.#arrivals.length = 0;
    this.fail(error);
  }

  /** The next one, as soon as there is one; undefined at the end. */
  async take(): Promise<A | undefined> {
    for (;;) {
      const arrival = this.#isEnded ? undefined : this.#arrivals.shift();
      if (arrival !== undefined) return arrival;
      if (this.#failed !== undefined) throw this.#failed.error;
      if (this.#isEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
