/** How far all groups lag, at a bounded cost: each group is asked once, and each leader once for all groups that read it. */

import type { CommittedOffset, GroupSummary, PartitionOfTopic } from "../../durable-objects/group/rpc.ts";
import { mapAtOnce } from "../model/at-once.ts";
import { type Failure, isFailure } from "../model/errors.ts";
import type { TopicId } from "../model/ids.ts";
import {
  GROUP_OFFSETS_PER_PAGE_MAX,
  SURVEY_MS_MAX,
  SURVEYED_GROUPS_AT_ONCE,
  SURVEYED_PARTITIONS_MAX,
  TOPICS_PER_LOOK_UP_MAX,
} from "../model/limits.ts";
import { byDeadline } from "./by-deadline.ts";
import type { Cluster } from "./cluster.ts";
import { type Lag, lags } from "./lag.ts";

export interface SurveyedGroup extends GroupSummary {
  readonly groupId: string;
  /** What it has committed. */
  readonly partitions: readonly SurveyedPartition[];
}

export interface SurveyedPartition extends PartitionOfTopic {
  readonly committedOffset: number;
  /** null: its leader could not be asked. */
  readonly lag: Lag | null;
}

export interface LagSurvey {
  readonly groups: readonly SurveyedGroup[];
  /** Groups of which something is missing: they did not answer, have too many partitions, or there was no time. */
  readonly leftOut: number;
}

/** `groupIds`: those that do not exist are passed over. Answers within SURVEY_MS_MAX. */
export async function surveyLag(
  cluster: Cluster,
  groupIds: readonly string[],
  startMs = Date.now(),
): Promise<LagSurvey> {
  const groupsDeadlineMs = startMs + SURVEY_MS_MAX.groups;
  const deadlineMs = startMs + SURVEY_MS_MAX.all;
  const room = { partitions: SURVEYED_PARTITIONS_MAX };
  const answers = await mapAtOnce(groupIds, SURVEYED_GROUPS_AT_ONCE, (groupId) =>
    committedBy(cluster, groupId, room, groupsDeadlineMs),
  );
  const groups = withinRoom(answers.flatMap((answer) => (isFailure(answer) ? [] : [answer])));
  const positions = groups.flatMap(({ offsets }) => offsets);
  await learnTopics(cluster, positions);
  const found = await lags(
    cluster,
    positions.map(({ topicId, partition, offset }) => ({ topic: { id: topicId }, partition, offset })),
    deadlineMs,
  );
  const results = found.values();
  const deleted = new Map<string, Set<TopicId>>();
  let leftOut = answers.filter((answer) => isFailure(answer) && answer.error !== "GROUP_ID_NOT_FOUND").length;
  const surveyed = groups.map(({ groupId, summary, offsets, isWhole }): SurveyedGroup => {
    let isComplete = isWhole;
    const partitions = offsets.flatMap(({ topicId, topic, partition, offset }) => {
      const lag = results.next().value;
      const isKnown = lag !== undefined && !isFailure(lag);
      if (!isKnown && lag?.error === "UNKNOWN_TOPIC_ID") {
        deleted.set(groupId, (deleted.get(groupId) ?? new Set()).add(topicId));
        return [];
      }
      isComplete &&= isKnown;
      return { topic, partition, committedOffset: offset, lag: isKnown ? lag : null };
    });
    if (!isComplete) leftOut++;
    return { groupId, ...summary, partitions };
  });
  await mapAtOnce([...deleted], SURVEYED_GROUPS_AT_ONCE, ([groupId, topicIds]) =>
    byDeadline(() => cluster.group(groupId).forgetTopics([...topicIds]), deadlineMs),
  );
  return { groups: surveyed, leftOut };
}

/** Without its metadata, which may be much. */
type Committed = Pick<CommittedOffset, "topicId" | "topic" | "partition" | "offset">;

interface Answer {
  readonly groupId: string;
  readonly summary: GroupSummary;
  readonly offsets: readonly Committed[];
  readonly isWhole: boolean;
}

/** `room`: how many partitions may still come, from all groups together; who asks at the same time may bring more. */
async function committedBy(
  cluster: Cluster,
  groupId: string,
  room: { partitions: number },
  deadlineMs: number,
): Promise<Answer | Failure> {
  const coordinator = cluster.group(groupId);
  const offsets: Committed[] = [];
  while (room.partitions > 0) {
    const after = offsets.at(-1);
    const request = {
      limit: GROUP_OFFSETS_PER_PAGE_MAX,
      asStored: true,
      ...(after !== undefined && { after }),
    };
    const page = await byDeadline(() => coordinator.offsetsPage(request), deadlineMs);
    if (isFailure(page)) return page;
    const { offsets: found, isLast, ...summary } = page;
    room.partitions -= found.length;
    for (const { topicId, topic, partition, offset } of found) {
      offsets.push({ topicId, topic, partition, offset });
    }
    if (isLast) return { groupId, summary, offsets, isWhole: true };
  }
  const summary = await byDeadline(() => coordinator.summary(), deadlineMs);
  return isFailure(summary) ? summary : { groupId, summary, offsets, isWhole: false };
}

/** The first SURVEYED_PARTITIONS_MAX partitions. */
function withinRoom(answers: readonly Answer[]): Answer[] {
  let room = SURVEYED_PARTITIONS_MAX;
  return answers.map((answer) => {
    const offsets = answer.offsets.slice(0, room);
    room -= offsets.length;
    return { ...answer, offsets, isWhole: answer.isWhole && offsets.length === answer.offsets.length };
  });
}

/** Many at once, where each leader's question would ask the Controller for its own topic. */
async function learnTopics(cluster: Cluster, positions: readonly Committed[]): Promise<void> {
  const names = [...new Set(positions.map(({ topic }) => topic))];
  for (let from = 0; from < names.length; from += TOPICS_PER_LOOK_UP_MAX) {
    await cluster.controller.topicsNamed(names.slice(from, from + TOPICS_PER_LOOK_UP_MAX));
  }
}
