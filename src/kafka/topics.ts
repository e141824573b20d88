import type { Cluster } from "../cluster/cluster.ts";
import { TOPICS_PER_LIST_MAX } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";

/** All topics, by name. */
export async function everyTopic(cluster: Cluster): Promise<Topic[]> {
  const topics: Topic[] = [];
  for (;;) {
    const after = topics.at(-1)?.name;
    const page = await cluster.controller.listTopics(after === undefined ? {} : { after });
    topics.push(...page);
    if (page.length < TOPICS_PER_LIST_MAX) return topics;
  }
}
