import { api, array, bytes, int16, int32, string } from "../schema.ts";

/** Classic groups: the leader brings the assignment, everyone takes their part of it. */
export const syncGroupApi = api({
  key: 14,
  name: "SyncGroup",
  versions: "0-5",
  flexible: 4,
  request: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string("3+").nullable().or(null),
    protocolType: string("5+").nullable().or(null).ignorable(),
    protocolName: string("5+").nullable().or(null).ignorable(),
    assignments: array({
      memberId: string(),
      assignment: bytes(),
    }),
  },
  response: {
    throttleTimeMs: int32("1+").or(0),
    errorCode: int16(),
    protocolType: string("5+").nullable().or(null),
    protocolName: string("5+").nullable().or(null),
    assignment: bytes(),
  },
});
