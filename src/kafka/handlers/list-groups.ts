import type { GroupSummary } from "../../../durable-objects/group/rpc.ts";
import { EdgelogError, errorRow, isFailure } from "../../model/errors.ts";
import { GROUPS_PER_LIST_MAX } from "../../model/limits.ts";
import { mapAtOnce } from "../at-once.ts";
import { GROUPS_AT_ONCE, groupOf } from "../groups.ts";
import { handler } from "../handler.ts";
import { listGroupsApi } from "../messages/list-groups.ts";
import type { Session } from "../session.ts";

/** The Controller knows which groups there are; what state each is in only the group itself does. */
export const listGroups = handler(listGroupsApi, async ({ statesFilter, typesFilter }, { session }) => {
  const isWanted = (filter: readonly string[], value: string) =>
    filter.length === 0 || filter.some((wanted) => wanted.toLowerCase() === value.toLowerCase());
  try {
    const groups = await everyGroup(session);
    return {
      errorCode: 0,
      groups: groups
        .filter(({ state, type }) => isWanted(statesFilter, state) && isWanted(typesFilter, type))
        .map(({ groupId, protocolType, state, type }) => ({
          groupId,
          protocolType,
          groupState: state,
          groupType: type,
        })),
    };
  } catch (error) {
    if (!(error instanceof EdgelogError)) throw error;
    return { errorCode: errorRow("COORDINATOR_NOT_AVAILABLE").code, groups: [] };
  }
});

async function everyGroup(session: Session): Promise<(GroupSummary & { groupId: string })[]> {
  const groups: (GroupSummary & { groupId: string })[] = [];
  let after = "";
  for (;;) {
    const page = await session.cluster.controller.listGroups({ after });
    const summaries = await mapAtOnce(page, GROUPS_AT_ONCE, async (groupId) => ({
      groupId,
      summary: await groupOf(session, groupId).summary(),
    }));
    for (const { groupId, summary } of summaries) {
      if (!isFailure(summary)) groups.push({ groupId, ...summary });
      // One that has just gone is left out; one that cannot be asked must not seem to be gone.
      else if (summary.error !== "GROUP_ID_NOT_FOUND") throw EdgelogError.from(summary);
    }
    after = page.at(-1) ?? "";
    if (page.length < GROUPS_PER_LIST_MAX) return groups;
  }
}
