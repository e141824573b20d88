import type { TopicId } from "../../../src/model/ids.ts";
import type { Assignment } from "./assignment.ts";
import { assignRange } from "./range-assignor.ts";
import { assignUniform } from "./uniform-assignor.ts";

export interface AssignableMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Topics that it is subscribed to and that exist. */
  readonly topicIds: ReadonlySet<TopicId>;
  /** What it was to have so far. */
  readonly target: Assignment;
}

/**
 * Divides all partitions of topics that somebody is subscribed to among those who are; a pure function.
 *
 * @param partitions how many partitions each topic has
 */
export type Assignor = (
  members: readonly AssignableMember[],
  partitions: ReadonlyMap<TopicId, number>,
) => ReadonlyMap<string, Assignment>;

/** Kafka's `group.consumer.assignors`; the first is the default. */
export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ["uniform", assignUniform],
  ["range", assignRange],
]);
export const DEFAULT_ASSIGNOR = "uniform";
