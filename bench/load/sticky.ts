/** How the leader of a cooperative group divides partitions: everyone keeps as much of what they have as is their share. */

export interface Owned {
  readonly memberId: string;
  readonly partitions: readonly number[];
}

/** What somebody else still has is given to nobody: its owner gives it up first, and then there is another round (KIP-429). */
export function assignSticky(members: readonly Owned[], partitions: number): Map<string, number[]> {
  const most = members.toSorted((a, b) => b.partitions.length - a.partitions.length);
  const least = Math.floor(partitions / members.length);
  const larger = partitions % members.length;
  const free = new Set(Array.from({ length: partitions }, (_, partition) => partition));
  for (const { partitions: owned } of members) for (const partition of owned) free.delete(partition);
  const left = free.values();
  const assignment = new Map<string, number[]>();
  // Who has most takes the larger shares; what is over stays with nobody for this round.
  for (const [index, { memberId, partitions: owned }] of most.entries()) {
    const share = least + (index < larger ? 1 : 0);
    const kept = owned.slice(0, share);
    while (kept.length < share) {
      const { value, done } = left.next();
      if (done) break;
      kept.push(value);
    }
    assignment.set(memberId, kept);
  }
  return assignment;
}

/** Kafka's range assignor for one topic. */
export function assignRange(memberIds: readonly string[], partitions: number): Map<string, number[]> {
  const sorted = memberIds.toSorted();
  const least = Math.floor(partitions / sorted.length);
  const larger = partitions % sorted.length;
  let next = 0;
  return new Map(
    sorted.map((memberId, index) => {
      const share = least + (index < larger ? 1 : 0);
      const own = Array.from({ length: share }, () => next++);
      return [memberId, own];
    }),
  );
}
