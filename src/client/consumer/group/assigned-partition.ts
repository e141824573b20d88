import type { AssignedMessage } from "../../../subscribe/group-protocol.ts";

/** A partition that this member has: how far it has come with it. */
export class AssignedPartition {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** What the group has committed; null: nothing. */
  committed: number | null;
  /** The offset after the last record that was processed; undefined: where it begins is still to be found out. */
  position: number | undefined;
  /** No record of it is given out any more. */
  isOver = false;
  /** The application has been told that no record of it comes any more. */
  isTold = false;
  /** Another member may have it. */
  isLost = false;

  constructor({ topic, topic_id, partition, offset }: AssignedMessage) {
    this.topic = topic;
    this.topicId = topic_id;
    this.partition = partition;
    this.committed = offset;
    this.position = offset ?? undefined;
  }

  get key(): string {
    return partitionKey(this.topicId, this.partition);
  }

  get isDirty(): boolean {
    return this.position !== undefined && this.position !== this.committed;
  }
}

export function partitionKey(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}
