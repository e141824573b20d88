/** Committed offsets as an administrator sets and deletes them: of groups whose members do not. */

import type { OffsetToCommit } from "../../durable-objects/group/rpc.ts";
import { type ErrorName, type Failure, failure, isFailure } from "../model/errors.ts";
import { STOP_MEMBERS } from "../model/groups.ts";
import type { Topic } from "../model/topic.ts";
import type { Cluster } from "./cluster.ts";
import type { GroupClient } from "./group-client.ts";

export type OffsetToSet = Omit<OffsetToCommit, "topicId">;

/** One per offset, in order; null: it is stored. */
export type SetOffsetsResult = (ErrorName | null)[];

/**
 * Sets offsets of a group that has no members, as kafka-consumer-groups does: NON_EMPTY_GROUP otherwise. The group is made
 * if there is none. Nothing is set where a topic or partition is unknown (UNKNOWN_TOPIC_OR_PARTITION).
 */
export async function setOffsets(
  cluster: Cluster,
  coordinator: GroupClient,
  offsets: readonly OffsetToSet[],
): Promise<SetOffsetsResult | Failure> {
  const topics = new Map<string, Topic>();
  for (const name of new Set(offsets.map(({ topic }) => topic))) {
    const topic = await cluster.controller.topic(name);
    if (isFailure(topic)) return topic;
    topics.set(name, topic);
  }
  const known: OffsetToCommit[] = [];
  for (const offset of offsets) {
    const topic = topics.get(offset.topic);
    if (topic === undefined || offset.partition >= topic.partitions) {
      return failure(
        "UNKNOWN_TOPIC_OR_PARTITION",
        `topic ${offset.topic} has ${topic?.partitions ?? 0} partition(s), counted from 0: there is no partition ${offset.partition}`,
      );
    }
    known.push({ ...offset, topicId: topic.id });
  }
  const committed = await coordinator.commitOffsets({ ...ADMINISTRATOR, offsets: known });
  if (!isFailure(committed)) return committed.map(({ error }) => error);
  if (committed.error !== "UNKNOWN_MEMBER_ID") return committed;
  return failure(
    "NON_EMPTY_GROUP",
    `group ${JSON.stringify(coordinator.groupId)} has members, and only they set its offsets; ${STOP_MEMBERS}`,
  );
}

const ADMINISTRATOR = { memberId: "", instanceId: null, generation: -1, knowsMemberEpochs: true } as const;

/**
 * Deletes the offset of one partition, or of all partitions of a topic. GROUP_ID_NOT_FOUND; GROUP_SUBSCRIBED_TO_TOPIC,
 * NON_EMPTY_GROUP as in Kafka. null: there is none any more.
 */
export async function deleteOffsets(
  cluster: Cluster,
  coordinator: GroupClient,
  topicName: string,
  partition?: number,
): Promise<Failure | null> {
  const topic = await cluster.controller.topic(topicName);
  if (isFailure(topic)) return topic;
  const { id: topicId, name } = topic;
  const partitions = partition === undefined ? null : [partition];
  const deleted = await coordinator.deleteOffsets([{ topicId, topic: name, partitions }]);
  if (isFailure(deleted)) return deleted;
  const refused = deleted.find(({ error }) => error !== null)?.error ?? null;
  if (refused === null) return null;
  return failure(
    refused,
    `group ${JSON.stringify(coordinator.groupId)} is subscribed to topic ${name}; stop its members first`,
  );
}
