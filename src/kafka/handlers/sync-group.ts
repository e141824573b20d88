import { errorRow, isFailure } from "../../model/errors.ts";
import { errorCodeOf } from "../error-codes.ts";
import { groupOf, whileConnected } from "../groups.ts";
import { handler } from "../handler.ts";
import { syncGroupApi } from "../messages/sync-group.ts";

/** The member must say what it takes the group's protocol to be (KIP-559). */
const FIRST_VERSION_WITH_PROTOCOL = 5;

/** Answered when the group's leader has brought the assignment. */
export const syncGroup = handler(syncGroupApi, async (request, { session, version }) => {
  const namesProtocol = request.protocolType !== null && request.protocolName !== null;
  if (version >= FIRST_VERSION_WITH_PROTOCOL && !namesProtocol) {
    return { errorCode: errorRow("INCONSISTENT_GROUP_PROTOCOL").code, assignment: new Uint8Array() };
  }
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
