/** The committed offsets of a group: a row each, and SQLite their only memory. */

import type { TopicId } from "../../src/model/ids.ts";
import { integer, type LogStorage, type SqlRow, type SqlValue, text } from "../partition/storage.ts";
import type { CommittedOffset, OffsetToCommit, PartitionOfTopic, TopicPartitions } from "./rpc.ts";

/** When offsets expire that have no time of their own. */
export interface ExpiryRule {
  /** The retention counts from here, in ms; undefined: from each commit. */
  readonly fromMs: number | undefined;
  readonly retentionMs: number;
  /** Of topics that the group is subscribed to they are kept. */
  isKept(topic: string): boolean;
}

/** Its own time, or what the rule says: bind `fromMs` and `retentionMs`. */
const EXPIRES_AT_MS = "coalesce(expires_at_ms, coalesce(?, committed_at_ms) + ?)";
const IS_STABLE = "(topic_id, partition) NOT IN (SELECT topic_id, partition FROM transactional_offsets)";

export class Offsets {
  readonly #storage: LogStorage;
  /** Topics whose name is stored. */
  #named = new Set<TopicId>();

  constructor(storage: LogStorage) {
    this.#storage = storage;
  }

  /** Remembers the name of the topic. */
  name({ topicId, topic }: Pick<OffsetToCommit, "topicId" | "topic">): void {
    if (this.#named.has(topicId)) return;
    this.#exec("INSERT INTO topics VALUES (?, ?) ON CONFLICT DO NOTHING", topicId, topic);
    this.#named.add(topicId);
  }

  commit(offset: OffsetToCommit, nowMs: number, expiresAtMs: number | null): void {
    this.name(offset);
    this.#exec(
      "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?, ?, ?, ?)",
      offset.topicId,
      offset.partition,
      offset.offset,
      offset.leaderEpoch,
      offset.metadata,
      nowMs,
      expiresAtMs,
    );
  }

  /** null: all. Sorted by topic and partition. */
  fetch(topics: readonly TopicPartitions[] | null): CommittedOffset[] {
    const selection = "SELECT * FROM offsets JOIN topics USING (topic_id)";
    if (topics === null)
      return this.#exec(`${selection} ORDER BY topic_id, partition`).map(committedOffsetOf);
    return topics.flatMap(({ topicId, partitions }) =>
      partitions.flatMap((partition) =>
        this.#exec(`${selection} WHERE topic_id = ? AND partition = ?`, topicId, partition).map(
          committedOffsetOf,
        ),
      ),
    );
  }

  /** By topic name and partition, a topic at a time, so that a page reads no more rows than it has. */
  after(last: PartitionOfTopic | undefined, limit: number): CommittedOffset[] {
    const topics = this.topics()
      .filter(({ topic }) => last === undefined || topic >= last.topic)
      .sort((a, b) => compareText(a.topic, b.topic) || compareText(a.topicId, b.topicId));
    const found: CommittedOffset[] = [];
    for (const { topicId, topic } of topics) {
      if (found.length === limit) break;
      const rows = this.#exec(
        `SELECT * FROM offsets JOIN topics USING (topic_id)
         WHERE topic_id = ? AND partition > ? ORDER BY partition LIMIT ?`,
        topicId,
        topic === last?.topic ? last.partition : -1,
        limit - found.length,
      );
      found.push(...rows.map(committedOffsetOf));
    }
    return found;
  }

  has({ topicId, partition }: Pick<OffsetToCommit, "topicId" | "partition">): boolean {
    const query = "SELECT 1 FROM offsets WHERE topic_id = ? AND partition = ?";
    return this.#exec(query, topicId, partition).length > 0;
  }

  partitionsOf(topicId: TopicId): number[] {
    const query = "SELECT partition FROM offsets WHERE topic_id = ?";
    return this.#exec(query, topicId).map((row) => integer(row, "partition"));
  }

  /** Whether a larger one is committed. */
  isAhead({ topicId, partition, offset }: Pick<OffsetToCommit, "topicId" | "partition" | "offset">): boolean {
    const query = "SELECT 1 FROM offsets WHERE topic_id = ? AND partition = ? AND committed_offset > ?";
    return this.#exec(query, topicId, partition, offset).length > 0;
  }

  get isEmpty(): boolean {
    return this.#exec("SELECT 1 FROM offsets LIMIT 1").length === 0;
  }

  count(): number {
    const [row = {}] = this.#exec("SELECT count(*) AS offsets FROM offsets");
    return integer(row, "offsets");
  }

  topics(): { topicId: TopicId; topic: string }[] {
    return this.#exec("SELECT topic_id, name FROM topics ORDER BY topic_id").map((row) => ({
      topicId: text(row, "topic_id"),
      topic: text(row, "name"),
    }));
  }

  delete(topicId: TopicId, partition: number): void {
    this.#exec("DELETE FROM offsets WHERE topic_id = ? AND partition = ?", topicId, partition);
  }

  forgetTopic(topicId: TopicId): void {
    this.#exec("DELETE FROM offsets WHERE topic_id = ?", topicId);
    this.#exec("DELETE FROM topics WHERE topic_id = ?", topicId);
    this.#named.delete(topicId);
  }

  /** Removes what has expired and no transaction may yet commit anew, and the names of topics that nothing is left of. */
  expire(nowMs: number, rule: ExpiryRule): void {
    for (const { topicId, topic } of this.topics()) {
      if (rule.isKept(topic)) continue;
      this.#exec(
        `DELETE FROM offsets WHERE topic_id = ? AND ${EXPIRES_AT_MS} <= ? AND ${IS_STABLE}`,
        topicId,
        rule.fromMs ?? null,
        rule.retentionMs,
        nowMs,
      );
    }
    this.#exec(
      `DELETE FROM topics WHERE NOT EXISTS (SELECT 1 FROM offsets WHERE topic_id = topics.topic_id)
       AND NOT EXISTS (SELECT 1 FROM transactional_offsets WHERE topic_id = topics.topic_id)`,
    );
    this.#named = new Set();
  }

  /** When the next of them expires, or undefined if none does. */
  nextExpiryMs(rule: ExpiryRule): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (const { topicId, topic } of this.topics()) {
      if (rule.isKept(topic)) continue;
      const [row = {}] = this.#exec(
        `SELECT min(${EXPIRES_AT_MS}) AS next FROM offsets WHERE topic_id = ?`,
        rule.fromMs ?? null,
        rule.retentionMs,
        topicId,
      );
      if (row.next !== null) next = Math.min(next, integer(row, "next"));
    }
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  clear(): void {
    this.#exec("DELETE FROM offsets");
    this.#exec("DELETE FROM topics");
    this.#named = new Set();
  }

  #exec(query: string, ...bindings: SqlValue[]): SqlRow[] {
    return this.#storage.exec(query, ...bindings);
  }
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function committedOffsetOf(row: SqlRow): CommittedOffset {
  return {
    topicId: text(row, "topic_id"),
    topic: text(row, "name"),
    partition: integer(row, "partition"),
    offset: integer(row, "committed_offset"),
    leaderEpoch: integer(row, "leader_epoch"),
    metadata: text(row, "metadata"),
    committedAtMs: integer(row, "committed_at_ms"),
  };
}
