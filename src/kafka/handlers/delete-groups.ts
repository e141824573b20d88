import { mapAtOnce } from "../../model/at-once.ts";
import { GROUPS_ASKED_AT_ONCE } from "../../model/limits.ts";
import { errorFields } from "../error-codes.ts";
import { groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { deleteGroupsApi } from "../messages/delete-groups.ts";

export const deleteGroups = handler(deleteGroupsApi, async ({ groupsNames }, { session }) => ({
  results: await mapAtOnce(groupsNames, GROUPS_ASKED_AT_ONCE, async (groupId) => ({
    groupId,
    ...errorFields((await groupOf(session, groupId).deleteGroup()) ?? undefined),
  })),
}));
