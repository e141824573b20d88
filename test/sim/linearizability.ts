/**
 * Whether what clients saw of one log could have happened one after another: is there an order of all operations that
 * respects real time (whoever was answered before another asked comes first), in which every append goes to the end of the
 * log as it is then, and every read sees that end? Offsets already say in what order appends stand, so it is enough that
 * nobody who asked later is placed before somebody who was answered earlier.
 */

export interface Operation {
  /** What it was, for people. */
  readonly what: string;
  /** Moments on one clock; `answeredAt` is infinite if no answer came. */
  readonly askedAt: number;
  readonly answeredAt: number;
  /** The log ended here when it happened. */
  readonly endBefore: number;
  /** … and here after it: the same, for a read. */
  readonly endAfter: number;
}

/** What contradicts real time, in words; none: the history is linearizable. */
export function contradictions(history: readonly Operation[]): string[] {
  const found: string[] = [];
  const byAnswer = history
    .filter(({ answeredAt }) => answeredAt !== Number.POSITIVE_INFINITY)
    .sort((one, other) => one.answeredAt - other.answeredAt);
  let answered = 0;
  let furthest: Operation | undefined;
  for (const asked of [...history].sort((one, other) => one.askedAt - other.askedAt)) {
    for (let next = byAnswer[answered]; next !== undefined; next = byAnswer[answered]) {
      if (next.answeredAt >= asked.askedAt) break;
      if (furthest === undefined || next.endAfter > furthest.endAfter) furthest = next;
      answered++;
    }
    if (furthest !== undefined && furthest.endAfter > asked.endBefore) {
      found.push(`${said(asked)}, though it was asked after ${said(furthest)} had been answered`);
    }
  }
  return [...found, ...overlaps(history)];
}

/** Appends that share an offset. */
function overlaps(history: readonly Operation[]): string[] {
  const found: string[] = [];
  const appends = history.filter(({ endBefore, endAfter }) => endAfter > endBefore);
  appends.sort((one, other) => one.endBefore - other.endBefore);
  for (const [index, append] of appends.entries()) {
    const before = appends[index - 1];
    if (before !== undefined && before.endAfter > append.endBefore)
      found.push(`${said(append)} overlaps ${said(before)}`);
  }
  return found;
}

function said({ what, endBefore, endAfter }: Operation): string {
  return endAfter === endBefore
    ? `${what} saw the log end at ${endBefore}`
    : `${what} took offsets ${endBefore} to ${endAfter - 1}`;
}
