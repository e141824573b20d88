import { api, array, bool, bytes, int16, int32, string } from "../schema.ts";

/**
 * Classic groups: become a member, and learn the generation. Answered when the rebalance is over. Static members from
 * version 5 on (KIP-345).
 */
export const joinGroupApi = api({
  key: 11,
  name: "JoinGroup",
  versions: "0-9",
  flexible: 6,
  request: {
    groupId: string(),
    sessionTimeoutMs: int32(),
    rebalanceTimeoutMs: int32("1+").or(-1).ignorable(),
    memberId: string(),
    groupInstanceId: string("5+").nullable().or(null),
    protocolType: string(),
    protocols: array({
      name: string(),
      metadata: bytes(),
    }),
    reason: string("8+").nullable().or(null).ignorable(),
  },
  response: {
    throttleTimeMs: int32("2+").or(0),
    errorCode: int16(),
    generationId: int32().or(-1),
    protocolType: string("7+").nullable().or(null),
    protocolName: string().nullable("7+"),
    leader: string(),
    skipAssignment: bool("9+").or(false),
    memberId: string(),
    members: array({
      memberId: string(),
      groupInstanceId: string("5+").nullable().or(null),
      metadata: bytes(),
    }),
  },
});
