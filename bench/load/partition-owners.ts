/** Which member has which partition, and for how long nobody has. */

/** Of one rebalance, in ms. */
export interface Pauses {
  /** Of each partition that has another owner than before. */
  readonly moved: readonly number[];
  /** Of each partition that has the owner that it had. */
  readonly stayed: readonly number[];
  /** Members that at some time had nothing of what they had before. */
  readonly stoppedMembers: number;
}

export class PartitionOwners {
  readonly #owners: (string | undefined)[];
  readonly #since: number[];
  readonly #counts = new Map<string, number>();
  #before: (string | undefined)[] = [];
  #pauses: number[] = [];
  readonly #stopped = new Set<string>();
  #changed = Promise.withResolvers<void>();
  #failure: Error | undefined;

  constructor(partitions: number) {
    this.#owners = Array.from({ length: partitions }, () => undefined);
    this.#since = Array.from({ length: partitions }, () => performance.now());
  }

  /** @throws {Error} it is another's: what is measured is not right */
  gained(partition: number, member: string): void {
    const owner = this.#owners[partition];
    if (owner !== undefined)
      throw new Error(`partition ${partition} is ${owner}'s, and is given to ${member}`);
    this.#owners[partition] = member;
    this.#counts.set(member, this.countOf(member) + 1);
    this.#pauses[partition] =
      (this.#pauses[partition] ?? 0) + performance.now() - (this.#since[partition] ?? 0);
    this.#wake();
  }

  lost(partition: number, member: string): void {
    if (this.#owners[partition] !== member) throw new Error(`partition ${partition} is not ${member}'s`);
    this.#owners[partition] = undefined;
    this.#counts.set(member, this.countOf(member) - 1);
    if (this.countOf(member) === 0) this.#stopped.add(member);
    this.#since[partition] = performance.now();
    this.#wake();
  }

  countOf(member: string): number {
    return this.#counts.get(member) ?? 0;
  }

  /** Whoever waits hears of it: a member could not go on. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#wake();
  }

  /** From now on it is noted how long partitions have no owner. */
  begin(): void {
    this.#before = [...this.#owners];
    this.#stopped.clear();
    this.#pauses = this.#owners.map(() => 0);
  }

  /** What has been since {@link begin}. */
  end(): Pauses {
    const moved: number[] = [];
    const stayed: number[] = [];
    for (const [partition, owner] of this.#owners.entries()) {
      const pause = this.#pauses[partition] ?? 0;
      if (owner === this.#before[partition]) stayed.push(pause);
      else moved.push(pause);
    }
    return { moved, stayed, stoppedMembers: this.#stopped.size };
  }

  /** Until every partition has an owner, and these members have equal shares. */
  async settled(members: readonly string[], msMax: number): Promise<void> {
    const least = Math.floor(this.#owners.length / members.length);
    const most = Math.ceil(this.#owners.length / members.length);
    const isShare = (count: number) => count >= least && count <= most;
    const untilMs = performance.now() + msMax;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const isOwned = this.#owners.every((owner) => owner !== undefined);
      if (isOwned && members.every((member) => isShare(this.countOf(member)))) return;
      await this.#change(untilMs - performance.now(), msMax);
    }
  }

  async #change(ms: number, msMax: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the group is not at rest after ${msMax} ms`)), ms);
    });
    await Promise.race([this.#changed.promise, late]).finally(() => clearTimeout(timer));
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
