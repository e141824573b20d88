/** Offsets that a transaction will commit, or will not: a row each, and SQLite their only memory. */

import type { TopicId } from "../../src/model/ids.ts";
import { integer, type LogStorage, type SqlRow, type SqlValue, text } from "../partition/storage.ts";
import type { ProducerIdentity, TransactionOutcome } from "../transaction/rpc.ts";
import type { FetchedOffset, OffsetToCommit, TopicPartitions } from "./rpc.ts";

export const TRANSACTIONAL_OFFSETS_TABLE = `CREATE TABLE transactional_offsets (
  producer_id INTEGER NOT NULL,
  topic_id TEXT NOT NULL,
  partition INTEGER NOT NULL,
  producer_epoch INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  pending_offset INTEGER NOT NULL,
  leader_epoch INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  committed_at_ms INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  is_overtaken INTEGER NOT NULL,
  PRIMARY KEY (producer_id, topic_id, partition)
) WITHOUT ROWID`;

/** A transaction that has offsets here and whose outcome is not known yet. */
export interface OpenTransaction extends ProducerIdentity {
  /** By the clock of the transactional id's coordinator. */
  readonly startedAtMs: number;
}

export interface PartitionKey {
  readonly topicId: TopicId;
  readonly partition: number;
}

export class TransactionalOffsets {
  readonly #storage: LogStorage;
  /** By producer id, as the rows say; undefined: to be read. */
  #transactions: Map<number, OpenTransaction> | undefined;
  #lastOrdinal = 0;

  constructor(storage: LogStorage) {
    this.#storage = storage;
  }

  /** The producer's transaction, whatever its epoch. */
  transactionOf(producerId: number): OpenTransaction | undefined {
    return this.#open().get(producerId);
  }

  put(transaction: OpenTransaction, offset: OffsetToCommit, nowMs: number): void {
    const { producerId, producerEpoch, startedAtMs } = transaction;
    this.#open().set(producerId, { producerId, producerEpoch, startedAtMs });
    this.#lastOrdinal += 1;
    this.#exec(
      "INSERT OR REPLACE INTO transactional_offsets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
      producerId,
      offset.topicId,
      offset.partition,
      producerEpoch,
      startedAtMs,
      offset.offset,
      offset.leaderEpoch,
      offset.metadata,
      nowMs,
      this.#lastOrdinal,
    );
  }

  has(producerId: number, { topicId, partition }: PartitionKey): boolean {
    const query =
      "SELECT 1 FROM transactional_offsets WHERE producer_id = ? AND topic_id = ? AND partition = ?";
    return this.#exec(query, producerId, topicId, partition).length > 0;
  }

  count(): number {
    const [row = {}] = this.#exec("SELECT count(*) AS offsets FROM transactional_offsets");
    return integer(row, "offsets");
  }

  /** Every partition that a transaction has an offset of, once. */
  partitions(): FetchedOffset[] {
    if (this.#open().size === 0) return [];
    return this.#exec(
      `SELECT DISTINCT topic_id, name, partition FROM transactional_offsets JOIN topics USING (topic_id)
       ORDER BY topic_id, partition`,
    ).map(unstableOffsetOf);
  }

  /** Those of {@link partitions} that are asked for; null: all. */
  fetch(topics: readonly TopicPartitions[] | null): FetchedOffset[] {
    const pending = this.partitions();
    if (topics === null || pending.length === 0) return pending;
    const asked = new Set(
      topics.flatMap(({ topicId, partitions }) =>
        partitions.map((partition) => partitionKey({ topicId, partition })),
      ),
    );
    return pending.filter((offset) => asked.has(partitionKey(offset)));
  }

  /**
   * The partition has been committed since: of a plain commit and those of transactions the one that was made last counts,
   * whenever its transaction ends, as in Kafka.
   */
  overtake({ topicId, partition }: PartitionKey): void {
    const query = "UPDATE transactional_offsets SET is_overtaken = 1 WHERE topic_id = ? AND partition = ?";
    this.#exec(query, topicId, partition);
  }

  /** Offsets of a later transaction stay: what is told of it is told later. */
  decide({ producerId, committed, decidedAtMs }: TransactionOutcome): void {
    if (committed) {
      this.#exec(
        `INSERT OR REPLACE INTO offsets
         SELECT topic_id, partition, pending_offset, leader_epoch, metadata, committed_at_ms, NULL
         FROM transactional_offsets WHERE producer_id = ? AND started_at_ms < ? AND NOT is_overtaken`,
        producerId,
        decidedAtMs,
      );
      this.#overtakeEarlier(producerId, decidedAtMs);
    }
    this.#exec(
      "DELETE FROM transactional_offsets WHERE producer_id = ? AND started_at_ms < ?",
      producerId,
      decidedAtMs,
    );
    const last = this.transactionOf(producerId);
    if (last !== undefined && last.startedAtMs < decidedAtMs) this.#open().delete(producerId);
  }

  #overtakeEarlier(producerId: number, decidedAtMs: number): void {
    if (this.#open().size === 1) return;
    this.#exec(
      `UPDATE transactional_offsets SET is_overtaken = 1
       WHERE NOT is_overtaken AND producer_id <> ? AND EXISTS (
         SELECT 1 FROM transactional_offsets AS committed
         WHERE committed.producer_id = ? AND committed.started_at_ms < ? AND NOT committed.is_overtaken
           AND committed.topic_id = transactional_offsets.topic_id
           AND committed.partition = transactional_offsets.partition
           AND committed.ordinal > transactional_offsets.ordinal
       )`,
      producerId,
      producerId,
      decidedAtMs,
    );
  }

  delete({ topicId, partition }: PartitionKey): void {
    this.#exec("DELETE FROM transactional_offsets WHERE topic_id = ? AND partition = ?", topicId, partition);
    this.#transactions = undefined;
  }

  forgetTopic(topicId: TopicId): void {
    this.#exec("DELETE FROM transactional_offsets WHERE topic_id = ?", topicId);
    this.#transactions = undefined;
  }

  clear(): void {
    this.#exec("DELETE FROM transactional_offsets");
    this.#transactions = undefined;
  }

  #open(): Map<number, OpenTransaction> {
    if (this.#transactions !== undefined) return this.#transactions;
    this.#transactions = new Map();
    const rows = this.#exec(
      `SELECT producer_id, producer_epoch, started_at_ms, max(ordinal) AS ordinal
       FROM transactional_offsets GROUP BY producer_id, producer_epoch, started_at_ms ORDER BY started_at_ms`,
    );
    for (const row of rows) {
      const producerId = integer(row, "producer_id");
      const producerEpoch = integer(row, "producer_epoch");
      this.#transactions.set(producerId, {
        producerId,
        producerEpoch,
        startedAtMs: integer(row, "started_at_ms"),
      });
      this.#lastOrdinal = Math.max(this.#lastOrdinal, integer(row, "ordinal"));
    }
    return this.#transactions;
  }

  #exec(query: string, ...bindings: SqlValue[]): SqlRow[] {
    return this.#storage.exec(query, ...bindings);
  }
}

export function partitionKey({ topicId, partition }: PartitionKey): string {
  return `${topicId}/${partition}`;
}

function unstableOffsetOf(row: SqlRow): FetchedOffset {
  return {
    topicId: text(row, "topic_id"),
    topic: text(row, "name"),
    partition: integer(row, "partition"),
    offset: -1,
    leaderEpoch: -1,
    metadata: "",
    committedAtMs: -1,
    error: "UNSTABLE_OFFSET_COMMIT",
  };
}
