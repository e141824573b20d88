import type { Turn } from "./handler.ts";

/** Lets requests wait for those before them, as far as their {@link Turn} asks for it. None overtakes another's start. */
export class RequestOrder {
  /** Settles when the serial requests until now are done; undefined: they are. */
  #serial: Promise<unknown> | undefined;
  /** The same of everything but fetches. */
  #changing: Promise<unknown> | undefined;
  /** Settles when the last one that had to wait has started; undefined: nobody waits. */
  #lastStart: Promise<unknown> | undefined;

  /** Starts the work at once, before it returns, if there is nothing to wait for. */
  run<T>(turn: Turn, work: () => Promise<T>): Promise<T> {
    const done = this.#start(turn === "serial" ? this.#changing : this.#serial, work);
    if (turn === "serial") {
      const tail: Promise<unknown> = Promise.allSettled([this.#serial, done]).then(() => {
        if (this.#serial === tail) this.#serial = undefined;
      });
      this.#serial = tail;
    }
    if (turn !== "fetch") {
      const tail: Promise<unknown> = Promise.allSettled([this.#changing, done]).then(() => {
        if (this.#changing === tail) this.#changing = undefined;
      });
      this.#changing = tail;
    }
    return done;
  }

  #start<T>(before: Promise<unknown> | undefined, work: () => Promise<T>): Promise<T> {
    if (before === undefined && this.#lastStart === undefined) return work();
    const start = Promise.all([before, this.#lastStart]);
    this.#lastStart = start;
    return start.then(() => {
      if (this.#lastStart === start) this.#lastStart = undefined;
      return work();
    });
  }
}
