/**
 * Which records of transactions a reader sees (KIP-98; Kafka: `isolation.level`). `read_uncommitted`, the default: all, as
 * they are written. `read_committed`: only those of transactions that were committed, and nothing behind the first that is
 * still undecided.
 */
export const ISOLATIONS = ["read_uncommitted", "read_committed"] as const;

export type Isolation = (typeof ISOLATIONS)[number];
