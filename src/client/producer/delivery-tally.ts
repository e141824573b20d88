/** Counts the records that are not settled yet, so that a flush can wait for those that were sent before it, and for no others. */
export class DeliveryTally {
  readonly #unsettled = new Map<number, number>();
  readonly #waiting: { readonly generation: number; readonly resolve: () => void }[] = [];
  #generation = 0;

  /** A record enters; the generation it belongs to. */
  enter(): number {
    this.#unsettled.set(this.#generation, (this.#unsettled.get(this.#generation) ?? 0) + 1);
    return this.#generation;
  }

  /** A record of that generation is settled. */
  leave(generation: number): void {
    const left = (this.#unsettled.get(generation) ?? 0) - 1;
    if (left > 0) {
      this.#unsettled.set(generation, left);
      return;
    }
    this.#unsettled.delete(generation);
    const oldest = this.#oldest();
    // Both are in order of generations.
    while ((this.#waiting[0]?.generation ?? oldest) < oldest) this.#waiting.shift()?.resolve();
  }

  /** Resolves when every record that has entered so far has left. */
  settled(): Promise<void> {
    if (this.#unsettled.size === 0) return Promise.resolve();
    const generation = this.#generation;
    this.#generation += 1;
    return new Promise((resolve) => this.#waiting.push({ generation, resolve }));
  }

  #oldest(): number {
    const [oldest = Number.POSITIVE_INFINITY] = this.#unsettled.keys();
    return oldest;
  }
}
