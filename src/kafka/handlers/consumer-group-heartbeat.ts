import { isFailure } from "../../model/errors.ts";
import { errorFields } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { consumerGroupHeartbeatApi } from "../messages/consumer-group-heartbeat.ts";

/** Next-generation groups (KIP-848): the coordinator assigns the partitions. */
export const consumerGroupHeartbeat = handler(
  consumerGroupHeartbeatApi,
  async ({ groupId, ...request }, { clientId, session }) => {
    const beat = await groupOf(session, groupId).consumerGroupHeartbeat({
      ...request,
      clientId: clientId ?? "",
      clientHost: session.clientHost,
    });
    if (isFailure(beat)) {
      return { ...errorFields(beat), memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0 };
    }
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
