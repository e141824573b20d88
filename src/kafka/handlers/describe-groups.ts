import { mapAtOnce } from "../../model/at-once.ts";
import { type Failure, failure, isFailure } from "../../model/errors.ts";
import { GROUPS_ASKED_AT_ONCE } from "../../model/limits.ts";
import { GROUP_OPERATIONS } from "../authorized-operations.ts";
import { errorFields } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { type Call, handler } from "../handler.ts";
import { describeGroupsApi } from "../messages/describe-groups.ts";

/** Since then a group that does not exist is an error (KIP-1043), before it is "Dead". */
const NOT_FOUND_VERSION = 6;

/** As many answers as were asked for: clients count on it. */
export const describeGroups = handler(
  describeGroupsApi,
  async ({ groups, includeAuthorizedOperations }, call) => {
    const authorizedOperations = includeAuthorizedOperations ? GROUP_OPERATIONS : undefined;
    return {
      groups: await mapAtOnce(groups, GROUPS_ASKED_AT_ONCE, async (groupId) => ({
        groupId,
        ...(await describe(groupId, call)),
        authorizedOperations,
      })),
    };
  },
);

async function describe(groupId: string, { version, session }: Call) {
  const group = await groupOf(session, groupId).describe();
  if (isFailure(group)) return nothing(group, version);
  if (group.type !== "classic") {
    return nothing(failure("GROUP_ID_NOT_FOUND", `group ${groupId} is not a classic group`), version);
  }
  return {
    errorCode: 0,
    groupState: group.state,
    protocolType: group.protocolType,
    protocolData: group.protocolName,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      memberMetadata: member.metadata,
      memberAssignment: member.assignment,
    })),
  };
}

function nothing(refused: Failure, version: number) {
  const isDead = refused.error === "GROUP_ID_NOT_FOUND";
  const isError = !isDead || version >= NOT_FOUND_VERSION;
  return {
    ...errorFields(isError ? refused : undefined),
    groupState: isDead ? "Dead" : "",
    protocolType: "",
    protocolData: "",
    members: [],
  };
}
