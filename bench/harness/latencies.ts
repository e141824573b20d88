/** Latencies in ms: all of them are kept, so quantiles are exact. */
export class Latencies {
  #values = new Float64Array(1_024);
  #count = 0;
  #isSorted = true;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = ms;
    this.#isSorted = false;
  }

  /** NaN if there are none. */
  quantile(share: number): number {
    if (!this.#isSorted) this.#values.subarray(0, this.#count).sort();
    this.#isSorted = true;
    const index = Math.min(this.#count - 1, Math.ceil(share * this.#count) - 1);
    return this.#values[Math.max(0, index)] ?? Number.NaN;
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
