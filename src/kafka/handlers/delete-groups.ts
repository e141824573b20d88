import { mapAtOnce } from "../at-once.ts";
import { errorFields } from "../error-codes.ts";
import { GROUPS_AT_ONCE, groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { deleteGroupsApi } from "../messages/delete-groups.ts";

export const deleteGroups = handler(deleteGroupsApi, async ({ groupsNames }, { session }) => ({
  results: await mapAtOnce(groupsNames, GROUPS_AT_ONCE, async (groupId) => ({
    groupId,
    ...errorFields((await groupOf(session, groupId).deleteGroup()) ?? undefined),
  })),
}));
