/** workerd's `FixedLengthStream`, as far as an upload needs it: each write waits until its bytes are taken. */

interface Waiting {
  readonly chunk: Uint8Array | undefined;
  readonly taken: () => void;
  readonly failed: (error: Error) => void;
}

export class SimulatedReadable {
  readonly length: number;
  #written = 0;
  readonly #waiting: Waiting[] = [];
  #error: Error | undefined;

  constructor(length: number) {
    this.length = length;
  }

  /** What has been written, if anything has: a copy, because the writer may free its bytes when it is told. */
  take(): { chunk: Uint8Array | undefined; taken: () => void } | undefined {
    const next = this.#waiting.shift();
    return next === undefined ? undefined : { chunk: next.chunk?.slice(), taken: next.taken };
  }

  get error(): Error | undefined {
    return this.#error;
  }

  /** Either end gives up: whoever writes is told. */
  fail(error: Error): void {
    this.#error ??= error;
    for (const { failed } of this.#waiting.splice(0)) failed(error);
  }

  /** undefined: that was all. */
  put(chunk: Uint8Array | undefined): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    this.#written += chunk?.length ?? 0;
    const isWrong = chunk === undefined ? this.#written !== this.length : this.#written > this.length;
    if (isWrong) {
      this.fail(new TypeError(`${this.#written} bytes were written of ${this.length}`));
      return Promise.reject(this.#error);
    }
    return new Promise((taken, failed) => this.#waiting.push({ chunk, taken, failed }));
  }
}

export class SimulatedFixedLengthStream {
  readonly readable: SimulatedReadable;

  constructor(length: number) {
    this.readable = new SimulatedReadable(length);
  }

  get writable() {
    const { readable } = this;
    return {
      getWriter: () => ({
        write: (chunk: Uint8Array) => readable.put(chunk),
        close: () => readable.put(undefined),
        abort: async () => readable.fail(new Error("the writer gave up")),
      }),
    };
  }
}
