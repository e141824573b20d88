import type { GroupSummary } from "../../durable-objects/group/rpc.ts";
import { mapAtOnce } from "../model/at-once.ts";
import { EdgelogError, isFailure } from "../model/errors.ts";
import { GROUPS_ASKED_AT_ONCE, NAMES_PER_LIST_MAX } from "../model/limits.ts";
import type { Cluster } from "./cluster.ts";

export interface ListedGroup extends GroupSummary {
  readonly groupId: string;
}

/** By id; the page may have fewer groups than asked for though more come after it. */
export interface GroupsPage {
  readonly groups: readonly ListedGroup[];
  /** `after` of the next page; null on the last one. */
  readonly next: string | null;
}

export interface GroupsPageRequest {
  readonly after?: string;
  readonly limit?: number;
  /** Others are not asked. */
  readonly isWanted?: (groupId: string) => boolean;
}

/**
 * The Controller knows which groups there are; what state each is in only the group itself does.
 *
 * @throws {EdgelogError} COORDINATOR_NOT_AVAILABLE: a group that cannot be asked must not seem to be gone
 */
export async function groupsPage(
  cluster: Cluster,
  { after = "", limit = NAMES_PER_LIST_MAX, isWanted = () => true }: GroupsPageRequest = {},
): Promise<GroupsPage> {
  const ids = await cluster.controller.listGroups({ after, limit });
  const wanted = ids.filter(isWanted);
  const summaries = await mapAtOnce(wanted, GROUPS_ASKED_AT_ONCE, async (groupId) => ({
    groupId,
    summary: await cluster.group(groupId).summary(),
  }));
  const groups = summaries.flatMap(({ groupId, summary }) => {
    if (!isFailure(summary)) return { groupId, ...summary };
    // One that has just gone is left out.
    if (summary.error === "GROUP_ID_NOT_FOUND") return [];
    throw EdgelogError.from(summary);
  });
  return { groups, next: ids.length < limit ? null : (ids.at(-1) ?? null) };
}

/** All that are wanted, page by page. */
export async function everyGroup(
  cluster: Cluster,
  isWanted: (groupId: string) => boolean = () => true,
): Promise<ListedGroup[]> {
  const groups: ListedGroup[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const page: GroupsPage = await groupsPage(cluster, { after, isWanted });
    groups.push(...page.groups);
    after = page.next;
  }
  return groups;
}
