/** What Prometheus is told of groups. */

import type { Cluster } from "../cluster/cluster.ts";
import { surveyLag } from "../cluster/lag-survey.ts";
import { SURVEYED_GROUPS_MAX } from "../model/limits.ts";
import { metric, type Sample } from "./prometheus.ts";

/**
 * @param wanted ids of groups; undefined: all, by id, up to SURVEYED_GROUPS_MAX
 * @param total how many groups there are
 */
export async function groupMetrics(
  cluster: Cluster,
  wanted: readonly string[] | undefined,
  total: number,
): Promise<string> {
  const groupIds = wanted ?? (await cluster.controller.listGroups({ limit: SURVEYED_GROUPS_MAX }));
  const { groups, leftOut } = await surveyLag(cluster, groupIds);
  const notListed = wanted === undefined ? Math.max(0, total - groupIds.length) : 0;
  const committed: Sample[] = [];
  const records: Sample[] = [];
  const seconds: Sample[] = [];
  for (const { groupId: group, partitions } of groups) {
    for (const { topic, partition, committedOffset, lag } of partitions) {
      const labels = { group, topic, partition: String(partition) };
      committed.push([labels, committedOffset]);
      if (lag === null || lag.records === null) continue;
      records.push([labels, lag.records]);
      if (lag.ms !== null || lag.records <= 0) seconds.push([labels, (lag.ms ?? 0) / 1_000]);
    }
  }
  return [
    metric("edgelog_consumer_groups_left_out", "gauge", LEFT_OUT, [[{}, leftOut + notListed]]),
    metric(
      "edgelog_consumer_group_state",
      "gauge",
      "1 for the state that the group is in; other states have no sample.",
      groups.map(({ groupId: group, type, state }) => [{ group, type, state }, 1]),
    ),
    metric(
      "edgelog_consumer_group_members",
      "gauge",
      "Members of the group.",
      groups.map(({ groupId: group, memberCount }) => [{ group }, memberCount]),
    ),
    metric(
      "edgelog_consumer_group_committed_offset",
      "gauge",
      "Offset of the record to be read next.",
      committed,
    ),
    metric("edgelog_consumer_group_lag_records", "gauge", LAG, records),
    metric("edgelog_consumer_group_lag_seconds", "gauge", AGE, seconds),
  ].join("");
}

const LEFT_OUT =
  "Groups of which something is missing here: too many groups or partitions, or no answer in time.";
const LAG = "Log end minus committed offset; negative where that lies beyond.";
const AGE = "Age of the oldest record that is not read; 0 where none is unread.";
