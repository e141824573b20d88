import { type Failure, failure, isFailure } from "../../model/errors.ts";
import { errorFields } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { consumerGroupHeartbeatApi } from "../messages/consumer-group-heartbeat.ts";

/** Since then members make their ids themselves (KIP-1082). */
const OWN_MEMBER_ID_VERSION = 1;

/** Next-generation groups (KIP-848): the coordinator assigns the partitions. */
export const consumerGroupHeartbeat = handler(
  consumerGroupHeartbeatApi,
  async ({ groupId, ...request }, { version, clientId, session }) => {
    if (version >= OWN_MEMBER_ID_VERSION && request.memberId === "") {
      return refused(failure("INVALID_REQUEST", "the member id is empty; the member makes one itself"));
    }
    const beat = await groupOf(session, groupId).consumerGroupHeartbeat({
      ...request,
      clientId: clientId ?? "",
      clientHost: session.clientHost,
    });
    if (isFailure(beat)) return refused(beat);
    const { memberId, memberEpoch, heartbeatIntervalMs, assignment } = beat;
    return {
      errorCode: 0,
      memberId,
      memberEpoch,
      heartbeatIntervalMs,
      assignment: assignment === null ? null : { topicPartitions: assignment },
    };
  },
);

function refused(failed: Failure) {
  return { ...errorFields(failed), memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0 };
}
