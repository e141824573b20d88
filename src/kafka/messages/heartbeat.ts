import { api, int16, int32, string } from "../schema.ts";

/** Classic groups: a member lives, and learns of a rebalance. */
export const heartbeatApi = api({
  key: 12,
  name: "Heartbeat",
  versions: "0-4",
  flexible: 4,
  request: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    groupInstanceId: string("3+").nullable().or(null),
  },
  response: {
    throttleTimeMs: int32("1+").or(0),
    errorCode: int16(),
  },
});
