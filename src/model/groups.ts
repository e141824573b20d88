/** `classic`: a member assigns the partitions. `consumer`: the coordinator does (KIP-848). */
export const GROUP_TYPES = ["classic", "consumer"] as const;

export type GroupType = (typeof GROUP_TYPES)[number];

/** Kafka's names for the states, classic groups' and consumer groups'. */
export const GROUP_STATES = [
  "Empty",
  "PreparingRebalance",
  "CompletingRebalance",
  "Assigning",
  "Reconciling",
  "Stable",
] as const;

export type GroupState = (typeof GROUP_STATES)[number];

/** What to do about NON_EMPTY_GROUP, behind "the group has members". */
export const STOP_MEMBERS =
  "stop them first; DELETE /v1/groups/{group}/members/{member} removes one that is gone without having left";
