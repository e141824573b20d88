import { type LeaderSurroundings, PartitionLeader } from "../../durable-objects/partition/leader.ts";
import { TailCache } from "../../durable-objects/partition/tail-cache.ts";
import { failure } from "../../src/model/errors.ts";
import type { Topic } from "../../src/model/topic.ts";
import type { SqliteStorage } from "./sqlite-storage.ts";

export const TOPIC: Topic = {
  id: "AAAAAAAAAAAAAAAAAAAAAA",
  name: "topic",
  version: 1,
  partitions: 1,
  configs: {},
  createdAtMs: 0,
  placements: {},
};

/** The leader as it wakes on a storage. */
export function wake(storage: SqliteStorage, around: Partial<LeaderSurroundings> = {}): PartitionLeader {
  return new PartitionLeader(
    { topicId: TOPIC.id, partition: 0, placement: 0 },
    {
      storage,
      clock: { now: () => 1_000 },
      tailCache: new TailCache(1_000_000),
      openPartition: async () => TOPIC,
      topicById: async () => TOPIC,
      joinTransaction: async () => failure("INVALID_PRODUCER_ID_MAPPING"),
      nextTurn: settle,
      logEndMoved: () => undefined,
      logStartMoved: () => undefined,
      housekeepingDue: () => undefined,
      ...around,
    },
  );
}

/** Lets everything go on that can without a confirmation. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
