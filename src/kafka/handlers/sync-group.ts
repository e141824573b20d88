import { isFailure } from "../../model/errors.ts";
import { errorCodeOf } from "../error-codes.ts";
import { groupOf, whileConnected } from "../groups.ts";
import { handler } from "../handler.ts";
import { syncGroupApi } from "../messages/sync-group.ts";

/** Answered when the group's leader has brought the assignment. */
export const syncGroup = handler(syncGroupApi, async (request, { session }) => {
  const answer = groupOf(session, request.groupId).syncGroup({
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generation: request.generationId,
    protocolType: request.protocolType,
    protocolName: request.protocolName,
    // A view would take the whole request along.
    assignments: request.assignments.map(({ memberId, assignment }) => ({
      memberId,
      assignment: assignment.slice(),
    })),
  });
  const synced = await whileConnected(session, answer);
  if (isFailure(synced)) return { errorCode: errorCodeOf(synced), assignment: new Uint8Array() };
  return { errorCode: 0, ...synced };
});
