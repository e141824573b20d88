import { everyGroup } from "../../cluster/group-list.ts";
import { EdgelogError, errorRow } from "../../model/errors.ts";
import { handler } from "../handler.ts";
import { listGroupsApi } from "../messages/list-groups.ts";

export const listGroups = handler(listGroupsApi, async ({ statesFilter, typesFilter }, { session }) => {
  const isWanted = (filter: readonly string[], value: string) =>
    filter.length === 0 || filter.some((wanted) => wanted.toLowerCase() === value.toLowerCase());
  try {
    const groups = await everyGroup(session.cluster, (groupId) => session.brokers.coordinatesHere(groupId));
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
