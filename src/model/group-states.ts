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
