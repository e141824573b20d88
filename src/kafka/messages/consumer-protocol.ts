import { array, bytes, int32, message, string } from "../schema.ts";

/**
 * What consumers tell each other inside JoinGroup and SyncGroup, whose brokers only carry it. An int16 before it says its
 * version; a higher one is read as the highest known.
 */
export const consumerSubscription = message({
  name: "ConsumerProtocolSubscription",
  versions: "0-3",
  fields: {
    topics: array(string()),
    userData: bytes().nullable().or(null),
    ownedPartitions: array({ topic: string(), partitions: array(int32()) }, "1+").ignorable(),
    generationId: int32("2+").or(-1).ignorable(),
    rackId: string("3+").nullable().or(null).ignorable(),
  },
});

export const consumerAssignment = message({
  name: "ConsumerProtocolAssignment",
  versions: "0-3",
  fields: {
    assignedPartitions: array({ topic: string(), partitions: array(int32()) }),
    userData: bytes().nullable().or(null),
  },
});
