import { type Failure, failure } from "./errors.ts";
import type { TopicId } from "./ids.ts";
import type { TopicConfigOverrides } from "./topic-configs.ts";

/** A topic as the Controller knows it and as Workers cache it. */
export interface Topic {
  readonly id: TopicId;
  readonly name: string;
  /** Rises with every change of the topic; requests to partitions carry it, so that a partition learns of a change. */
  readonly version: number;
  readonly partitions: number;
  /** As it was asked for, to be told so again: the platform replicates every append whatever it says. Absent: 1. */
  readonly replicationFactor?: number;
  /** Only what differs from the defaults. */
  readonly configs: TopicConfigOverrides;
  readonly createdAtMs: number;
  /** Only of partitions that have been moved: partition → placement. */
  readonly placements: Readonly<Record<number, number>>;
}

export function placementOf(topic: Topic, partition: number): number {
  return topic.placements[partition] ?? 0;
}

export function noSuchPartition(
  { name, partitions }: Pick<Topic, "name" | "partitions">,
  partition: number,
): Failure {
  return failure(
    "UNKNOWN_TOPIC_OR_PARTITION",
    `topic ${name} has ${partitions} partition(s), counted from 0: there is no partition ${partition}`,
  );
}
