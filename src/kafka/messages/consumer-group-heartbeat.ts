import { api, array, int16, int32, string, struct, uuid } from "../schema.ts";

/**
 * Next-generation groups (KIP-848): the one request of a member. Epoch 0 joins, -1 leaves, -2 leaves for a while;
 * null means unchanged since the last.
 */
export const consumerGroupHeartbeatApi = api({
  key: 68,
  name: "ConsumerGroupHeartbeat",
  versions: "0-1",
  flexible: 0,
  request: {
    groupId: string(),
    memberId: string(),
    memberEpoch: int32(),
    instanceId: string().nullable().or(null),
    rackId: string().nullable().or(null),
    rebalanceTimeoutMs: int32().or(-1),
    subscribedTopicNames: array(string()).nullable().or(null),
    subscribedTopicRegex: string("1+").nullable().or(null),
    serverAssignor: string().nullable().or(null),
    topicPartitions: array({
      topicId: uuid(),
      partitions: array(int32()),
    })
      .nullable()
      .or(null),
  },
  response: {
    throttleTimeMs: int32().or(0),
    errorCode: int16(),
    errorMessage: string().nullable().or(null),
    memberId: string().nullable().or(null),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    assignment: struct({
      topicPartitions: array({
        topicId: uuid(),
        partitions: array(int32()),
      }),
    })
      .nullable()
      .or(null),
  },
});
