import { GROUPS_PER_LIST_MAX } from "../../src/model/limits.ts";
import { integer, text } from "../partition/storage.ts";
import type { ListGroupsRequest } from "./rpc.ts";
import type { ControllerStorage } from "./storage.ts";

/**
 * Which groups exist. A group records itself before its first write and is struck out after its last, so that this may
 * name a group that is blank, but never misses one that is not.
 */
export class Groups {
  readonly #storage: ControllerStorage;

  constructor(storage: ControllerStorage) {
    this.#storage = storage;
    storage.exec("CREATE TABLE IF NOT EXISTS groups(group_id TEXT PRIMARY KEY) WITHOUT ROWID");
  }

  open(groupId: string): void {
    this.#storage.exec("INSERT INTO groups VALUES (?) ON CONFLICT DO NOTHING", groupId);
  }

  close(groupId: string): void {
    this.#storage.exec("DELETE FROM groups WHERE group_id = ?", groupId);
  }

  count(): number {
    const [row = {}] = this.#storage.exec("SELECT count(*) AS groups FROM groups");
    return integer(row, "groups");
  }

  /** Sorted. */
  list({ after = "", limit = GROUPS_PER_LIST_MAX }: ListGroupsRequest): string[] {
    const most = Math.max(0, Math.min(Math.floor(limit), GROUPS_PER_LIST_MAX));
    return this.#storage
      .exec("SELECT group_id FROM groups WHERE group_id > ? ORDER BY group_id LIMIT ?", after, most)
      .map((row) => text(row, "group_id"));
  }
}
