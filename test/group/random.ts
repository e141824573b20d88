/** A generator of random numbers that a seed repeats (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** An integer from 0 up to `below`. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[this.below(from.length)];
  }
}

/** Seeds of a run: the same `count` each time; EDGELOG_SEED=<n> repeats one, EDGELOG_SEED=random looks at new ones. */
export function seeds(count: number): number[] {
  const asked = process.env.EDGELOG_SEED;
  if (asked !== undefined && asked !== "random") return [Number(asked)];
  const random = asked === "random" ? Math.random : fixed();
  return Array.from({ length: count }, () => Math.floor(random() * 2 ** 31));
}

function fixed(): () => number {
  const random = new Random(1);
  return () => random.next();
}
