import type { NamedTopicPartitions } from "../../../durable-objects/group/rpc.ts";
import { mapAtOnce } from "../../model/at-once.ts";
import { failure, isFailure } from "../../model/errors.ts";
import { GROUPS_ASKED_AT_ONCE } from "../../model/limits.ts";
import { GROUP_OPERATIONS } from "../authorized-operations.ts";
import { errorFields } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { consumerGroupDescribeApi } from "../messages/consumer-group-describe.ts";
import type { Session } from "../session.ts";

const MEMBER_TYPES = { classic: 0, consumer: 1 } as const;

/** As many answers as were asked for: clients count on it. */
export const consumerGroupDescribe = handler(
  consumerGroupDescribeApi,
  async ({ groupIds, includeAuthorizedOperations }, { session }) => {
    const authorizedOperations = includeAuthorizedOperations ? GROUP_OPERATIONS : undefined;
    return {
      groups: await mapAtOnce(groupIds, GROUPS_ASKED_AT_ONCE, async (groupId) => ({
        groupId,
        ...(await describe(groupId, session)),
        authorizedOperations,
      })),
    };
  },
);

async function describe(groupId: string, session: Session) {
  const group = await groupOf(session, groupId).describe();
  if (isFailure(group) || group.type !== "consumer") {
    const refused = isFailure(group)
      ? group
      : failure("GROUP_ID_NOT_FOUND", `group ${groupId} is not a consumer group`);
    const nothing = { groupState: "", groupEpoch: 0, assignmentEpoch: 0, assignorName: "", members: [] };
    return { ...errorFields(refused), ...nothing };
  }
  return {
    errorCode: 0,
    groupState: group.state,
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    assignorName: group.assignor,
    members: group.members.map(({ type, assignment, targetAssignment, ...member }) => ({
      ...member,
      assignment: { topicPartitions: assignment.map(topicPartitions) },
      targetAssignment: { topicPartitions: targetAssignment.map(topicPartitions) },
      memberType: MEMBER_TYPES[type],
    })),
  };
}

function topicPartitions({ topicId, topic, partitions }: NamedTopicPartitions) {
  return { topicId, topicName: topic, partitions };
}
