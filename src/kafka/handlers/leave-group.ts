import { errorRow, isFailure } from "../../model/errors.ts";
import { errorCodeOf } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { leaveGroupApi } from "../messages/leave-group.ts";

const BATCHED_VERSION = 3;

export const leaveGroup = handler(leaveGroupApi, async (request, { version, session }) => {
  const isBatched = version >= BATCHED_VERSION;
  const leaving = isBatched
    ? request.members.map(({ memberId, groupInstanceId }) => ({ memberId, instanceId: groupInstanceId }))
    : [{ memberId: request.memberId, instanceId: null }];
  const left = await groupOf(session, request.groupId).leaveGroup(leaving);
  if (isFailure(left)) return { errorCode: errorCodeOf(left) };
  const members = left.map(({ memberId, instanceId, error }) => ({
    memberId,
    groupInstanceId: instanceId,
    errorCode: error === null ? 0 : errorRow(error).code,
  }));
  // Before members had answers of their own, there was one for the one that left.
  return isBatched ? { errorCode: 0, members } : { errorCode: members[0]?.errorCode ?? 0 };
});
