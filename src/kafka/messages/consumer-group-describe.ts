import { api, array, bool, int8, int16, int32, string, struct, uuid } from "../schema.ts";
import { OPERATIONS_NOT_ASKED } from "./authorized-operations.ts";

/** Next-generation groups (KIP-848): epochs, members, present and target assignments. */
export const consumerGroupDescribeApi = api({
  key: 69,
  name: "ConsumerGroupDescribe",
  versions: "0-1",
  flexible: 0,
  request: {
    groupIds: array(string()),
    includeAuthorizedOperations: bool(),
  },
  response: {
    throttleTimeMs: int32().or(0),
    groups: array({
      errorCode: int16(),
      errorMessage: string().nullable().or(null),
      groupId: string(),
      groupState: string(),
      groupEpoch: int32(),
      assignmentEpoch: int32(),
      assignorName: string(),
      members: array({
        memberId: string(),
        instanceId: string().nullable().or(null),
        rackId: string().nullable().or(null),
        memberEpoch: int32(),
        clientId: string(),
        clientHost: string(),
        subscribedTopicNames: array(string()),
        subscribedTopicRegex: string().nullable().or(null),
        assignment: struct({
          topicPartitions: array({
            topicId: uuid(),
            topicName: string(),
            partitions: array(int32()),
          }),
        }),
        targetAssignment: struct({
          topicPartitions: array({
            topicId: uuid(),
            topicName: string(),
            partitions: array(int32()),
          }),
        }),
        memberType: int8("1+").or(-1),
      }),
      authorizedOperations: int32().or(OPERATIONS_NOT_ASKED),
    }),
  },
});
