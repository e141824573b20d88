import type { PartitionIdentity, TopicId } from "../../src/model/ids.ts";
import { OPENED_PARTITIONS_PER_LIST_MAX } from "../../src/model/limits.ts";
import { integer } from "../partition/storage.ts";
import type { ControllerStorage } from "./storage.ts";

/** Where a walk over a topic's opened partitions stands. */
export interface WalkPosition {
  readonly partition: number;
  readonly placement: number;
}

export const BEFORE_THE_FIRST: WalkPosition = { partition: -1, placement: -1 };

/** The partition objects that have been told that they may come to life: all that can hold anything. */
export class OpenedPartitions {
  readonly #storage: ControllerStorage;

  constructor(storage: ControllerStorage) {
    this.#storage = storage;
  }

  /** `topicVersion` is what the partition learns from the answer. A lost answer is asked for again: the object is blank. */
  record({ topicId, partition, placement }: PartitionIdentity, topicVersion: number): void {
    this.#storage.exec(
      "INSERT INTO opened_partitions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      topicId,
      partition,
      placement,
      topicVersion,
    );
  }

  /** Their partition numbers, ascending. */
  list(topicId: TopicId, after: number, limit: number): number[] {
    return this.#storage
      .exec(
        `SELECT DISTINCT partition FROM opened_partitions WHERE topic_id = ? AND partition > ?
         ORDER BY partition LIMIT ?`,
        topicId,
        after,
        Math.max(0, Math.min(Math.floor(limit), OPENED_PARTITIONS_PER_LIST_MAX)),
      )
      .map((row) => integer(row, "partition"));
  }

  any(topicId: TopicId): boolean {
    return this.behind(topicId, Number.MAX_SAFE_INTEGER, BEFORE_THE_FIRST, 1).length > 0;
  }

  /** Those after a position that are not known to have learned of `topicVersion`. */
  behind(topicId: TopicId, topicVersion: number, after: WalkPosition, limit: number): PartitionIdentity[] {
    return this.#storage
      .exec(
        `SELECT partition, placement FROM opened_partitions
         WHERE topic_id = ? AND (partition, placement) > (?, ?) AND topic_version < ?
         ORDER BY partition, placement LIMIT ?`,
        topicId,
        after.partition,
        after.placement,
        topicVersion,
        limit,
      )
      .map((row) => ({
        topicId,
        partition: integer(row, "partition"),
        placement: integer(row, "placement"),
      }));
  }

  learned({ topicId, partition, placement }: PartitionIdentity, topicVersion: number): void {
    this.#storage.exec(
      `UPDATE opened_partitions SET topic_version = ?
       WHERE topic_id = ? AND partition = ? AND placement = ? AND topic_version < ?`,
      topicVersion,
      topicId,
      partition,
      placement,
      topicVersion,
    );
  }

  forget({ topicId, partition, placement }: PartitionIdentity): void {
    this.#storage.exec(
      "DELETE FROM opened_partitions WHERE topic_id = ? AND partition = ? AND placement = ?",
      topicId,
      partition,
      placement,
    );
  }
}
