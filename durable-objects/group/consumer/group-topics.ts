import { type Failure, failure } from "../../../src/model/errors.ts";
import { GROUP_ASSIGNED_PARTITIONS_MAX, GROUP_TOPICS_CHARACTERS_MAX } from "../../../src/model/limits.ts";
import type { KnownTopic, TopicSnapshot } from "./topic-directory.ts";

/** The topics that a group is subscribed to, by name. */
export type GroupTopics = Readonly<Record<string, Omit<KnownTopic, "name">>>;

/** Those of these names that exist. */
export function groupTopics(names: Iterable<string>, topics: TopicSnapshot): GroupTopics {
  const known = new Map<string, GroupTopics[string]>();
  for (const name of names) {
    const topic = topics.find(name);
    if (topic !== undefined) known.set(name, { topicId: topic.topicId, partitions: topic.partitions });
  }
  return Object.fromEntries(known);
}

/** INVALID_REQUEST: more than can be assigned, or than a row can hold. */
export function groupTopicsProblem(topics: GroupTopics): Failure | undefined {
  let total = 0;
  for (const { partitions } of Object.values(topics)) total += partitions;
  if (total > GROUP_ASSIGNED_PARTITIONS_MAX) {
    return failure(
      "INVALID_REQUEST",
      `the group would be subscribed to ${total} partitions; at most ${GROUP_ASSIGNED_PARTITIONS_MAX} can be assigned in one group`,
    );
  }
  if (JSON.stringify(topics).length <= GROUP_TOPICS_CHARACTERS_MAX) return undefined;
  return failure(
    "INVALID_REQUEST",
    `the group would be subscribed to ${Object.keys(topics).length} topics, which are too many for one group`,
  );
}

export function sameGroupTopics(one: GroupTopics, other: GroupTopics): boolean {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every(
      (name) =>
        one[name]?.topicId === other[name]?.topicId && one[name]?.partitions === other[name]?.partitions,
    )
  );
}
