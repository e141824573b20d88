/** What the Controller's plain classes need of the platform. The shell provides it from `ctx.storage`. */

import { newTopicId } from "../../src/model/ids.ts";
import type { SqlRow, SqlValue } from "../partition/storage.ts";

export interface ControllerStorage {
  /** Runs one statement and drains its cursor at once. */
  exec(query: string, ...bindings: SqlValue[]): SqlRow[];
  /** All or nothing. */
  transactionSync<T>(closure: () => T): T;
}

/**
 * Deleted topics leave `topics` at once, so that their names are free and their ids unknown, and stay in
 * `deleted_topics` until the last of their partitions is gone. `opened_partitions` has a row for every partition object
 * that may hold anything; `walks` has one for every topic whose opened partitions are to be visited.
 */
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS settings(
     name TEXT PRIMARY KEY,
     value ANY NOT NULL
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS topics(
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     version INTEGER NOT NULL,
     partitions INTEGER NOT NULL,
     replication_factor INTEGER NOT NULL DEFAULT 1,
     configs TEXT NOT NULL,
     placements TEXT NOT NULL,
     created_at_ms INTEGER NOT NULL
   ) WITHOUT ROWID`,
  // Kafka's rule that "." and "_" collide, kept by the database.
  "CREATE UNIQUE INDEX IF NOT EXISTS topics_by_collision ON topics(replace(name, '.', '_'))",
  `CREATE TABLE IF NOT EXISTS deleted_topics(
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL,
     configs TEXT NOT NULL,
     deleted_at_ms INTEGER NOT NULL
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS opened_partitions(
     topic_id TEXT NOT NULL,
     partition INTEGER NOT NULL,
     placement INTEGER NOT NULL,
     topic_version INTEGER NOT NULL,
     PRIMARY KEY (topic_id, partition, placement)
   ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS walks(
     topic_id TEXT PRIMARY KEY,
     task TEXT NOT NULL,
     topic_version INTEGER NOT NULL,
     after_partition INTEGER NOT NULL,
     after_placement INTEGER NOT NULL,
     failures INTEGER NOT NULL,
     due_at_ms INTEGER NOT NULL
   ) WITHOUT ROWID`,
];

export function createTables(storage: ControllerStorage): void {
  storage.transactionSync(() => {
    for (const statement of SCHEMA) storage.exec(statement);
    storage.exec("INSERT INTO settings VALUES ('cluster_id', ?) ON CONFLICT DO NOTHING", newTopicId());
    storage.exec("INSERT INTO settings VALUES ('next_producer_id', 0) ON CONFLICT DO NOTHING");
  });
}
