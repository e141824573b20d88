/** What is known of transactions from outside, held against what a read_committed reader has seen: all or nothing. */

export type Outcome = "committed" | "aborted" | "unknown";

export interface SentTransaction {
  readonly what: string;
  /** Acknowledged batches, by partition, in the order in which they were sent. */
  readonly batches: { readonly partition: string; readonly id: number }[];
  /** Sent, and perhaps stored. */
  readonly doubtful: { readonly partition: string; readonly id: number }[];
  /** What it committed for its lane of the group; undefined: nothing, or it was not acknowledged. */
  offset?: number;
  outcome: Outcome;
}

/** `seen`: ids of batches by partition, in the order of the log, to its end. `offsets`: by lane. */
export function atomicityProblems(
  transactions: readonly SentTransaction[],
  seen: ReadonlyMap<string, readonly number[]>,
): string[] {
  const problems: string[] = [];
  const places = new Map<number, string>();
  const owners = new Map<number, SentTransaction>();
  for (const transaction of transactions) {
    for (const { id } of [...transaction.batches, ...transaction.doubtful]) owners.set(id, transaction);
  }
  for (const [partition, ids] of seen) {
    for (const id of ids) {
      if (places.has(id)) problems.push(`batch ${id} is in ${partition} and in ${places.get(id)}`);
      places.set(id, partition);
      const owner = owners.get(id);
      if (owner === undefined) problems.push(`batch ${id} of ${partition} belongs to no transaction`);
      else if (owner.outcome === "aborted")
        problems.push(`batch ${id} of ${partition} is of ${owner.what}, which was aborted`);
    }
  }
  for (const transaction of transactions) problems.push(...ofTransaction(transaction, seen, places));
  return problems;
}

function ofTransaction(
  { what, batches, outcome }: SentTransaction,
  seen: ReadonlyMap<string, readonly number[]>,
  places: ReadonlyMap<number, string>,
): string[] {
  const missing = batches.filter(({ id }) => !places.has(id));
  if (outcome === "committed" && missing.length > 0)
    return missing.map(({ partition, id }) => `batch ${id} of ${what}, committed, is not in ${partition}`);
  if (outcome === "unknown" && missing.length > 0 && missing.length < batches.length)
    return [`${what}: ${missing.length} of its ${batches.length} batches are missing, the others are not`];
  const problems: string[] = [];
  for (const partition of new Set(batches.map((batch) => batch.partition))) {
    const sent = batches.filter((batch) => batch.partition === partition && places.has(batch.id));
    const order = sent.map(({ id }) => seen.get(partition)?.indexOf(id) ?? -1);
    if (order.some((place, index) => index > 0 && place < (order[index - 1] ?? 0)))
      problems.push(`${what}: its batches in ${partition} are out of order`);
  }
  return problems;
}

/** What the group may have for a lane, whose transactions are given in their order; undefined: nothing. */
export function possibleOffsets(
  transactions: readonly SentTransaction[],
  wasCommitted: (transaction: SentTransaction) => boolean | undefined,
): (number | undefined)[] {
  let possible: (number | undefined)[] = [undefined];
  for (const transaction of transactions) {
    if (transaction.offset === undefined) continue;
    const committed = wasCommitted(transaction);
    if (committed === true) possible = [transaction.offset];
    else if (committed === undefined) possible = [...possible, transaction.offset];
  }
  return possible;
}
