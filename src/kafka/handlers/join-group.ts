import { isFailure } from "../../model/errors.ts";
import { errorCodeOf } from "../error-codes.ts";
import { groupOf, whileConnected } from "../groups.ts";
import { handler } from "../handler.ts";
import { joinGroupApi } from "../messages/join-group.ts";

/** Since which version a dynamic member is first given an id (KIP-394), and may be told not to assign (KIP-814). */
const KNOWN_MEMBER_ID_VERSION = 4;
const SKIP_ASSIGNMENT_VERSION = 9;
const NULLABLE_PROTOCOL_VERSION = 7;

/** Answered when the rebalance is over. */
export const joinGroup = handler(joinGroupApi, async (request, { version, clientId, session }) => {
  const answer = groupOf(session, request.groupId).joinGroup({
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    clientId: clientId ?? "",
    clientHost: session.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocolType: request.protocolType,
    // A view would take the whole request along.
    protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: metadata.slice() })),
    requiresKnownMemberId: version >= KNOWN_MEMBER_ID_VERSION,
    canSkipAssignment: version >= SKIP_ASSIGNMENT_VERSION,
  });
  const joined = await whileConnected(session, answer);
  if (isFailure(joined)) {
    const protocolName = version >= NULLABLE_PROTOCOL_VERSION ? null : "";
    const memberId = "memberId" in joined ? joined.memberId : request.memberId;
    return { errorCode: errorCodeOf(joined), protocolName, leader: "", memberId, members: [] };
  }
  const { generation, protocolType, protocolName, leader, skipAssignment, memberId, members } = joined;
  return {
    errorCode: 0,
    generationId: generation,
    protocolType,
    protocolName,
    leader,
    skipAssignment,
    memberId,
    members: members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      metadata: member.metadata,
    })),
  };
});
