/**
 * How a member comes to its target (KIP-848): first it is told what to give up, and nothing else; when it says that it has,
 * it moves on to the target's epoch and gets whatever of its target nobody else has any more.
 */

import type { TopicId } from "../../../src/model/ids.ts";
import { type Assignment, filter, isNothing, membership, union } from "./assignment.ts";
import type { ConsumerMember } from "./consumer-member.ts";

export interface Reconciliation {
  /** The epoch that the targets of the group belong to. */
  readonly targetEpoch: number;
  /** What the member says it has; null: it says nothing about it. */
  readonly owned: Assignment | null;
  /** Whether nobody but this member has the partition. */
  isFree(topicId: TopicId, partition: number): boolean;
}

/** The member one step further, or as it is. */
export function reconcile(member: ConsumerMember, reconciliation: Reconciliation): ConsumerMember {
  const { targetEpoch, owned } = reconciliation;
  switch (member.state) {
    case "stable":
      return member.epoch === targetEpoch ? member : advance(member, member.epoch, reconciliation);
    case "unrevoked":
      if (hasAny(owned, member.revoking)) return member;
      return advance(member, member.epoch + 1, reconciliation);
    case "unreleased":
      return advance(member, member.epoch, reconciliation);
  }
}

export function isReconciled({ state, epoch }: ConsumerMember, targetEpoch: number): boolean {
  return state === "stable" && epoch === targetEpoch;
}

function advance(
  member: ConsumerMember,
  epoch: number,
  { targetEpoch, owned, isFree }: Reconciliation,
): ConsumerMember {
  const isTarget = membership(member.target);
  const isAssigned = membership(member.assigned);
  const kept = filter(member.assigned, isTarget);
  const revoking = filter(member.assigned, (topicId, partition) => !isTarget(topicId, partition));
  if (!isNothing(revoking) && hasAny(owned, revoking)) {
    return moved(member, epoch, { state: "unrevoked", assigned: kept, revoking });
  }
  const missing = filter(member.target, (topicId, partition) => !isAssigned(topicId, partition));
  const free = filter(missing, isFree);
  const isWaiting = !isNothing(filter(missing, (topicId, partition) => !isFree(topicId, partition)));
  return moved(member, targetEpoch, {
    state: isWaiting ? "unreleased" : "stable",
    assigned: union(kept, free),
    revoking: {},
  });
}

/** Who does not say what it has may still have all of it. */
function hasAny(owned: Assignment | null, partitions: Assignment): boolean {
  return owned === null || !isNothing(filter(owned, membership(partitions)));
}

function moved(
  member: ConsumerMember,
  epoch: number,
  changes: Pick<ConsumerMember, "state" | "assigned" | "revoking">,
): ConsumerMember {
  return { ...member, ...changes, epoch, previousEpoch: member.epoch };
}
