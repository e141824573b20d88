import type { Witness } from "./classic-client.ts";

/** Holds against one another what the clients are told; each finding is a broken promise. */
export class ClassicWitness implements Witness {
  readonly partitions = 7;
  generation = 0;
  failure: unknown;
  readonly #owners = new Map<string, string>();
  readonly acknowledged = new Map<number, number>();

  /** Of a static member that takes no part in a rebalance the classic protocol promises less; see owns. */
  acquires(): void {}

  releases(): void {}

  failed(error: unknown): void {
    this.failure ??= error;
  }

  joined(generation: number, generationBefore: number): void {
    if (generation < generationBefore)
      throw new Error(`generation ${generation} follows ${generationBefore}`);
    this.generation = Math.max(this.generation, generation);
  }

  owns(memberId: string, generation: number, partitions: readonly number[]): void {
    for (const partition of partitions) {
      const key = `${generation}/${partition}`;
      const owner = this.#owners.get(key);
      if (owner !== undefined && owner !== memberId && !isSameInstance(owner, memberId)) {
        throw new Error(
          `partition ${partition} belongs to ${owner} and ${memberId} in generation ${generation}`,
        );
      }
      this.#owners.set(key, memberId);
    }
  }

  starts(partition: number, committed: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (committed < least)
      throw new Error(`partition ${partition}: ${least} was committed, ${committed} is left`);
  }

  committed(partition: number, offset: number): void {
    const least = this.acknowledged.get(partition) ?? 0;
    if (offset < least) throw new Error(`partition ${partition} went back from ${least} to ${offset}`);
    this.acknowledged.set(partition, offset);
  }
}

/** A static member that starts again takes over what its former self had. */
function isSameInstance(one: string, other: string): boolean {
  const instanceOf = (memberId: string) => /^(instance-\d+)-/.exec(memberId)?.[1];
  return instanceOf(one) !== undefined && instanceOf(one) === instanceOf(other);
}
