/** What the messages of a member with a WebSocket say, as the heartbeats that they stand for. */

import { GROUP_REBALANCE_TIMEOUT_MS_DEFAULT } from "../../../src/model/limits.ts";
import type { JoinMessage } from "../../../src/subscribe/group-protocol.ts";
import type { ConsumerMember } from "../consumer/consumer-member.ts";
import { type ConsumerGroupHeartbeatRequest, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH } from "../rpc.ts";

export function joinHeartbeat(message: JoinMessage, clientHost: string): ConsumerGroupHeartbeatRequest {
  const { member_epoch: memberEpoch = JOIN_EPOCH } = message;
  return {
    memberId: message.member_id ?? "",
    memberEpoch,
    instanceId: message.instance_id ?? null,
    rackId: message.rack_id ?? null,
    clientId: message.client_id ?? "edgelog",
    clientHost,
    rebalanceTimeoutMs: message.rebalance_timeout_ms ?? GROUP_REBALANCE_TIMEOUT_MS_DEFAULT,
    subscribedTopicNames: message.topics ?? [],
    subscribedTopicRegex: message.topic_pattern ?? "",
    serverAssignor: message.assignor ?? null,
    topicPartitions: memberEpoch === JOIN_EPOCH ? [] : null,
  };
}

/** A static member keeps its place for a while. */
export function leaveHeartbeat(
  memberId: string,
  member: ConsumerMember | undefined,
  clientHost: string,
): ConsumerGroupHeartbeatRequest {
  const instanceId = member?.instanceId ?? null;
  return {
    memberId,
    memberEpoch: instanceId === null ? LEAVE_EPOCH : LEAVE_STATIC_EPOCH,
    instanceId,
    rackId: null,
    clientId: member?.clientId ?? "",
    clientHost,
    rebalanceTimeoutMs: -1,
    subscribedTopicNames: null,
    subscribedTopicRegex: null,
    serverAssignor: null,
    topicPartitions: null,
  };
}
