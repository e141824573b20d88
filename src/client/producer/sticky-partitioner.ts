/**
 * Where a record without a key goes (KIP-480, KIP-794): to one partition until `batchSize` bytes went there, then to another,
 * so that batches fill up although records are spread over all partitions.
 */
export class StickyPartitioner {
  readonly #batchSize: number;
  readonly #queuedBytes: (partition: number) => number;
  readonly #random: () => number;
  #partition: number | undefined;
  #bytes = 0;

  /** `queuedBytes`: what waits for a partition; slower partitions are chosen less often (KIP-794's adaptive partitioning). */
  constructor(batchSize: number, queuedBytes: (partition: number) => number, random = Math.random) {
    this.#batchSize = batchSize;
    this.#queuedBytes = queuedBytes;
    this.#random = random;
  }

  next(recordBytes: number, partitions: number): number {
    if (this.#partition === undefined || this.#partition >= partitions || this.#bytes >= this.#batchSize) {
      this.#partition = this.#choose(partitions);
      this.#bytes = 0;
    }
    this.#bytes += recordBytes;
    return this.#partition;
  }

  /** The one of two random partitions that has less to do: as even as weighing all of them, at a fraction of the work. */
  #choose(partitions: number): number {
    const one = this.#another(partitions);
    const two = this.#another(partitions);
    return this.#queuedBytes(two) < this.#queuedBytes(one) ? two : one;
  }

  /** Any partition but the present one. */
  #another(partitions: number): number {
    const present = this.#partition;
    if (partitions === 1 || present === undefined || present >= partitions) {
      return Math.floor(this.#random() * partitions);
    }
    const index = Math.floor(this.#random() * (partitions - 1));
    return index < present ? index : index + 1;
  }
}
