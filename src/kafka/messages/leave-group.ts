import { api, array, int16, int32, string } from "../schema.ts";

/** Classic groups: members leave; several at once from version 3 on (KIP-345). */
export const leaveGroupApi = api({
  key: 13,
  name: "LeaveGroup",
  versions: "0-5",
  flexible: 4,
  request: {
    groupId: string(),
    memberId: string("0-2").or(""),
    members: array(
      {
        memberId: string(),
        groupInstanceId: string().nullable().or(null),
        reason: string("5+").nullable().or(null).ignorable(),
      },
      "3+",
    ).or([]),
  },
  response: {
    throttleTimeMs: int32("1+").or(0),
    errorCode: int16(),
    members: array(
      {
        memberId: string(),
        groupInstanceId: string().nullable(),
        errorCode: int16(),
      },
      "3+",
    ).or([]),
  },
});
