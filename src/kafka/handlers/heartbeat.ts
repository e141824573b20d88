import { errorCodeOf } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { heartbeatApi } from "../messages/heartbeat.ts";

export const heartbeat = handler(heartbeatApi, async (request, { session }) => {
  const refused = await groupOf(session, request.groupId).heartbeat({
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generation: request.generationId,
  });
  return { errorCode: refused === null ? 0 : errorCodeOf(refused) };
});
