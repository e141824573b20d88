import type { TopicId } from "../../src/model/ids.ts";
import { type Clock, integer, type SqlRow, text } from "../partition/storage.ts";
import { BEFORE_THE_FIRST, type WalkPosition } from "./opened-partitions.ts";
import type { ControllerStorage } from "./storage.ts";

/** What is to be done at every opened partition of a topic. */
export type WalkTask = "configure" | "destroy";

export interface Walk {
  readonly topicId: TopicId;
  readonly task: WalkTask;
  /** Partitions that know this version of the topic are done. */
  readonly topicVersion: number;
  /** The last partition that was tried in this round. */
  readonly after: WalkPosition;
  /** Steps in a row that got nothing done. */
  readonly failures: number;
}

/** The walks that are under way, at most one a topic. A walk that is begun anew forgets where the old one stood. */
export class Walks {
  readonly #storage: ControllerStorage;
  readonly #clock: Clock;

  constructor(storage: ControllerStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  begin(topicId: TopicId, task: WalkTask, topicVersion: number): void {
    this.#storage.exec(
      "INSERT OR REPLACE INTO walks VALUES (?, ?, ?, ?, ?, 0, ?)",
      topicId,
      task,
      topicVersion,
      BEFORE_THE_FIRST.partition,
      BEFORE_THE_FIRST.placement,
      this.#clock.now(),
    );
  }

  /** The walk whose turn it is. */
  due(): Walk | undefined {
    const [row] = this.#storage.exec(
      "SELECT * FROM walks WHERE due_at_ms <= ? ORDER BY due_at_ms, topic_id LIMIT 1",
      this.#clock.now(),
    );
    return row === undefined ? undefined : walkOf(row);
  }

  /** When a walk is due next, or undefined if there is none. */
  nextAtMs(): number | undefined {
    const [row] = this.#storage.exec("SELECT due_at_ms FROM walks ORDER BY due_at_ms LIMIT 1");
    return row === undefined ? undefined : integer(row, "due_at_ms");
  }

  /** False if the walk has been begun anew while a step of it was under way. */
  isCurrent({ topicId, task, topicVersion }: Walk): boolean {
    const rows = this.#storage.exec(
      "SELECT 1 FROM walks WHERE topic_id = ? AND task = ? AND topic_version = ?",
      topicId,
      task,
      topicVersion,
    );
    return rows.length > 0;
  }

  proceed(walk: Walk, after: WalkPosition, failures: number, waitMs: number): void {
    this.#storage.exec(
      `UPDATE walks SET after_partition = ?, after_placement = ?, failures = ?, due_at_ms = ? WHERE topic_id = ?`,
      after.partition,
      after.placement,
      failures,
      this.#clock.now() + waitMs,
      walk.topicId,
    );
  }

  end(walk: Walk): void {
    this.#storage.exec("DELETE FROM walks WHERE topic_id = ?", walk.topicId);
  }
}

function walkOf(row: SqlRow): Walk {
  return {
    topicId: text(row, "topic_id"),
    task: text(row, "task") === "destroy" ? "destroy" : "configure",
    topicVersion: integer(row, "topic_version"),
    after: { partition: integer(row, "after_partition"), placement: integer(row, "after_placement") },
    failures: integer(row, "failures"),
  };
}
