import type { MemberEvent } from "./events.ts";

interface Run {
  readonly ms: number;
  readonly first: number;
  readonly last: number;
}

/** Which records have been processed by anybody, and up to where without a gap at which time. */
export class Coverage {
  readonly #partitions = new Map<number, PartitionCoverage>();

  constructor(members: Iterable<{ readonly events: readonly MemberEvent[] }>) {
    const runs = new Map<number, Run[]>();
    for (const { events } of members) {
      for (const event of events) {
        if (event.kind !== "processed") continue;
        const own = runs.get(event.partition) ?? [];
        own.push(event);
        runs.set(event.partition, own);
      }
    }
    for (const [partition, own] of runs) this.#partitions.set(partition, new PartitionCoverage(own));
  }

  /** How many times a record was processed. */
  processed(partition: number): number {
    return this.#partitions.get(partition)?.processed ?? 0;
  }

  /** The first records before `end` that nobody has processed. */
  missing(partition: number, end: number): readonly [first: number, last: number] | undefined {
    const own = this.#partitions.get(partition);
    if (own === undefined) return end > 0 ? [0, end - 1] : undefined;
    return own.missing(end);
  }

  /** All before this had been processed by `ms`. */
  reached(partition: number, ms: number): number {
    return this.#partitions.get(partition)?.reached(ms) ?? 0;
  }
}

class PartitionCoverage {
  readonly processed: number;
  /** In the order of time: from `ms` on, all before `offset`. */
  readonly #prefix: { readonly ms: number; readonly offset: number }[] = [];
  readonly #byOffset: readonly Run[];

  constructor(runs: readonly Run[]) {
    this.processed = runs.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    this.#byOffset = runs.toSorted((one, other) => one.first - other.first);
    const ahead: Run[] = [];
    let offset = 0;
    for (const run of runs.toSorted((one, other) => one.ms - other.ms || one.first - other.first)) {
      if (run.last < offset) continue;
      if (run.first > offset) {
        ahead.push(run);
        continue;
      }
      offset = run.last + 1;
      offset = absorb(ahead, offset);
      this.#prefix.push({ ms: run.ms, offset });
    }
  }

  missing(end: number): readonly [number, number] | undefined {
    let next = 0;
    for (const { first, last } of this.#byOffset) {
      if (first > next && next < end) return [next, Math.min(first, end) - 1];
      next = Math.max(next, last + 1);
    }
    return next < end ? [next, end - 1] : undefined;
  }

  reached(ms: number): number {
    let low = 0;
    let high = this.#prefix.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#prefix[middle]?.ms ?? Number.POSITIVE_INFINITY) <= ms) low = middle + 1;
      else high = middle;
    }
    return this.#prefix[low - 1]?.offset ?? 0;
  }
}

/** Takes out of `ahead` what joins on at `offset`. */
function absorb(ahead: Run[], offset: number): number {
  for (let index = 0; index < ahead.length; ) {
    const run = ahead[index];
    if (run === undefined || run.first > offset) {
      index++;
      continue;
    }
    ahead.splice(index, 1);
    if (run.last < offset) continue;
    offset = run.last + 1;
    index = 0;
  }
  return offset;
}
