import type { TopicId } from "../../../src/model/ids.ts";
import { type Assignment, assignmentOf } from "./assignment.ts";
import type { AssignableMember } from "./assignors.ts";

interface Partition {
  readonly topicId: TopicId;
  readonly partition: number;
}

interface Share {
  readonly member: AssignableMember;
  readonly partitions: Set<Partition>;
}

/**
 * Kafka's `uniform`: everyone gets as many partitions as everyone else, as far as subscriptions allow, and what a member was
 * to have it is to have still, unless another has too little.
 */
export function assignUniform(
  members: readonly AssignableMember[],
  partitions: ReadonlyMap<TopicId, number>,
): ReadonlyMap<string, Assignment> {
  const shares = members.map((member): Share => ({ member, partitions: new Set() }));
  const unassigned = keepTargets(shares, partitions);
  if (haveSameSubscription(members)) shareEvenly(shares, unassigned);
  else shareByLoad(shares, unassigned);
  return new Map(shares.map(({ member, partitions }) => [member.memberId, assignmentIn(partitions)]));
}

/** Gives everyone what they had and may have still; returns the rest. */
function keepTargets(shares: readonly Share[], counts: ReadonlyMap<TopicId, number>): Partition[] {
  const free = new Map<TopicId, (Partition | undefined)[]>();
  for (const [topicId, count] of counts) {
    free.set(
      topicId,
      Array.from({ length: count }, (_, partition) => ({ topicId, partition })),
    );
  }
  for (const { member, partitions } of shares) {
    for (const [topicId, had] of Object.entries(member.target)) {
      const left = free.get(topicId);
      if (left === undefined || !member.topicIds.has(topicId)) continue;
      for (const index of had) {
        const partition = left[index];
        if (partition === undefined) continue;
        partitions.add(partition);
        left[index] = undefined;
      }
    }
  }
  return [...free.values()].flatMap((left) => left.filter((partition) => partition !== undefined));
}

function haveSameSubscription([first, ...others]: readonly AssignableMember[]): boolean {
  if (first === undefined) return true;
  return others.every(
    ({ topicIds }) =>
      topicIds.size === first.topicIds.size && [...topicIds].every((topicId) => first.topicIds.has(topicId)),
  );
}

/** Everyone may have everything: all get the same number, some one more. */
function shareEvenly(shares: readonly Share[], unassigned: Partition[]): void {
  const total = shares.reduce((sum, { partitions }) => sum + partitions.size, unassigned.length);
  const least = Math.floor(total / Math.max(1, shares.length));
  let withOneMore = total - least * shares.length;
  // Who has most keeps most, so that the fewest move.
  const richestFirst = shares.toSorted((one, other) => other.partitions.size - one.partitions.size);
  const quotas = new Map<Share, number>();
  for (const share of richestFirst) {
    const quota = withOneMore > 0 ? least + 1 : least;
    withOneMore--;
    quotas.set(share, quota);
    const surplus = [...share.partitions].slice(quota);
    for (const partition of surplus) {
      share.partitions.delete(partition);
      unassigned.push(partition);
    }
  }
  const rest = unassigned.values();
  for (const share of richestFirst) {
    while (share.partitions.size < (quotas.get(share) ?? 0)) {
      const { value } = rest.next();
      if (value === undefined) return;
      share.partitions.add(value);
    }
  }
}

/** Members may have different topics: each partition goes to the least loaded who may have it, and then loads are evened. */
function shareByLoad(shares: readonly Share[], unassigned: readonly Partition[]): void {
  const subscribers = new Map<TopicId, Share[]>();
  for (const share of shares) {
    for (const topicId of share.member.topicIds) {
      const others = subscribers.get(topicId);
      if (others === undefined) subscribers.set(topicId, [share]);
      else others.push(share);
    }
  }
  const mayHave = (topicId: TopicId) => subscribers.get(topicId) ?? [];
  // What only few may have comes first: the others can still be had by many.
  const rarestFirst = unassigned.toSorted(
    (one, other) => mayHave(one.topicId).length - mayHave(other.topicId).length,
  );
  for (const partition of rarestFirst) leastLoaded(mayHave(partition.topicId))?.partitions.add(partition);
  for (let hasMoved = true; hasMoved; ) {
    hasMoved = false;
    for (const share of shares) {
      for (const partition of [...share.partitions]) {
        const other = leastLoaded(mayHave(partition.topicId));
        // Each move makes the loads more even, so there is an end to them.
        if (other === undefined || other.partitions.size + 1 >= share.partitions.size) continue;
        share.partitions.delete(partition);
        other.partitions.add(partition);
        hasMoved = true;
      }
    }
  }
}

function leastLoaded(shares: readonly Share[]): Share | undefined {
  let least: Share | undefined;
  for (const share of shares) {
    if (least === undefined || share.partitions.size < least.partitions.size) least = share;
  }
  return least;
}

function assignmentIn(partitions: ReadonlySet<Partition>): Assignment {
  const topics = Map.groupBy(partitions, ({ topicId }) => topicId);
  return assignmentOf(
    [...topics].map(([topicId, ofTopic]) => ({
      topicId,
      partitions: ofTopic.map(({ partition }) => partition),
    })),
  );
}
