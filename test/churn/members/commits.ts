/** What is to be committed of the partitions that a member has. */
export class Commits {
  readonly #due = new Map<number, number>();
  readonly #done = new Map<number, number>();

  /** Offsets, by partition, that have not been committed: they are due until they have been, or the partition is gone. */
  get due(): (readonly [partition: number, offset: number])[] {
    return [...this.#due];
  }

  /**
   * All before `offset` is processed. A client may deliver records again that it had fetched before a rebalance; what was
   * committed of a partition does not go back by that.
   */
  processed(partition: number, offset: number): void {
    if (offset > (this.#done.get(partition) ?? -1)) this.#due.set(partition, offset);
  }

  committed(offsets: readonly (readonly [partition: number, offset: number])[]): void {
    for (const [partition, offset] of offsets) {
      if (this.#due.get(partition) === offset) this.#due.delete(partition);
      this.#done.set(partition, offset);
    }
  }

  gone(partitions: readonly number[]): void {
    for (const partition of partitions) {
      this.#due.delete(partition);
      this.#done.delete(partition);
    }
  }
}
