import type { Table } from "./table.ts";

/** How much to measure: `quick` shows that everything works, `normal` ends within half an hour, `full` takes its time. */
export type Extent = "quick" | "normal" | "full";

/** What a question is given to answer it. */
export interface Bench {
  readonly extent: Extent;
  /** One of three by the extent. */
  pick<T>(values: Readonly<Record<Extent, T>>): T;
  /** What is being done now, and how much of the question is done (0 to 1). */
  progress(step: string, share: number): void;
}

/** A figure beside what was aimed at. */
export interface TargetResult {
  readonly target: string;
  /** undefined: it could not be measured; `note` says why. */
  readonly measured: number | undefined;
  /** At least this, or at most. */
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  readonly unit?: string;
  readonly note?: string;
}

export interface Answer {
  readonly tables: readonly Table[];
  readonly targets?: readonly TargetResult[];
  /** Sentences: how it was measured, what is missing. */
  readonly notes?: readonly string[];
}

/** One thing to find out: a file of its own under bench/. */
export interface Question {
  /** As in `--only`. */
  readonly name: string;
  readonly title: string;
  answer(bench: Bench): Promise<Answer>;
}

export function isReached({ measured, bound }: TargetResult): boolean {
  if (measured === undefined) return false;
  return "atLeast" in bound ? measured >= bound.atLeast : measured <= bound.atMost;
}
