/** The group's tables. All SQL of members stands here; that of offsets in offsets.ts. */

import { integer, type LogStorage, type SqlRow, text } from "../partition/storage.ts";
import { TRANSACTIONAL_OFFSETS_TABLE } from "./transactional-offsets.ts";

/**
 * One row says what the group is, one what a member is: what is not in a row was never promised to anyone. Parked
 * requests, and when a member was last heard, are memory only; what becomes of them when the object is lost is said where
 * they are kept.
 */
const TABLES = [
  "CREATE TABLE settings (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
  `CREATE TABLE members (
     member_id TEXT PRIMARY KEY,
     ordinal INTEGER NOT NULL,
     silent_until_ms INTEGER,
     member TEXT NOT NULL
   ) WITHOUT ROWID`,
  "CREATE TABLE topics (topic_id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID",
  `CREATE TABLE offsets (
     topic_id TEXT NOT NULL,
     partition INTEGER NOT NULL,
     committed_offset INTEGER NOT NULL,
     leader_epoch INTEGER NOT NULL,
     metadata TEXT NOT NULL,
     committed_at_ms INTEGER NOT NULL,
     expires_at_ms INTEGER,
     PRIMARY KEY (topic_id, partition)
   ) WITHOUT ROWID`,
  TRANSACTIONAL_OFFSETS_TABLE,
];

/** The group's own name, for a platform event that does not tell it. */
const NAME = "name";
const GROUP = "group";
/** The Controller is to be told that the group is gone. */
const CLOSING = "closing";

export interface StoredMember {
  readonly memberId: string;
  readonly ordinal: number;
  /** See sessions.ts. */
  readonly silentUntilMs: number | null;
  readonly member: string;
}

export class GroupStore {
  readonly #storage: LogStorage;
  #exists: boolean;
  #isClosing: boolean;

  constructor(storage: LogStorage) {
    this.#storage = storage;
    this.#exists = this.#hasTable("settings");
    // A group that is older than transactions.
    if (this.#exists && !this.#hasTable("transactional_offsets")) this.#exec(TRANSACTIONAL_OFFSETS_TABLE);
    this.#isClosing = this.#setting(CLOSING) !== undefined;
  }

  /** Whether the tables exist: a group that nobody has used has none. */
  get exists(): boolean {
    return this.#exists;
  }

  create(name: string): void {
    for (const table of TABLES) this.#exec(table);
    this.#exists = true;
    this.#set(NAME, name);
  }

  drop(): void {
    for (const table of ["settings", "members", "topics", "offsets", "transactional_offsets"]) {
      this.#exec(`DROP TABLE ${table}`);
    }
    this.#exists = false;
    this.#isClosing = false;
  }

  name(): string | undefined {
    return this.#setting(NAME);
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  setClosing(isClosing: boolean): void {
    if (isClosing) this.#set(CLOSING, "true");
    else this.#exec("DELETE FROM settings WHERE key = ?", CLOSING);
    this.#isClosing = isClosing;
  }

  /** JSON, as saved. */
  group(): string | undefined {
    return this.#setting(GROUP);
  }

  saveGroup(group: string | undefined): void {
    if (group !== undefined) this.#set(GROUP, group);
    else this.#exec("DELETE FROM settings WHERE key = ?", GROUP);
  }

  /** In the order in which they came. */
  members(): StoredMember[] {
    if (!this.#exists) return [];
    return this.#exec("SELECT * FROM members ORDER BY ordinal").map((row) => ({
      memberId: text(row, "member_id"),
      ordinal: integer(row, "ordinal"),
      silentUntilMs: row.silent_until_ms === null ? null : integer(row, "silent_until_ms"),
      member: text(row, "member"),
    }));
  }

  saveMember(memberId: string, ordinal: number, member: string): void {
    this.#exec(
      `INSERT INTO members (member_id, ordinal, member) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET member = excluded.member`,
      memberId,
      ordinal,
      member,
    );
  }

  deleteMember(memberId: string): void {
    this.#exec("DELETE FROM members WHERE member_id = ?", memberId);
  }

  setSilentUntil(memberId: string, silentUntilMs: number | null): void {
    this.#exec("UPDATE members SET silent_until_ms = ? WHERE member_id = ?", silentUntilMs, memberId);
  }

  /** Touches storage: the platform then checks that this object is still the only one of its name. */
  confirmUniqueness(): void {
    this.#exec(`SELECT 1 FROM ${this.#exists ? "settings" : "sqlite_master"} LIMIT 1`);
  }

  #hasTable(name: string): boolean {
    return this.#exec("SELECT 1 FROM sqlite_master WHERE name = ?", name).length > 0;
  }

  #setting(key: string): string | undefined {
    if (!this.#exists) return undefined;
    const [row] = this.#exec("SELECT value FROM settings WHERE key = ?", key);
    return row === undefined ? undefined : text(row, "value");
  }

  #set(key: string, value: string): void {
    this.#exec(
      "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }

  #exec(query: string, ...bindings: Parameters<LogStorage["exec"]>[1][]): SqlRow[] {
    return this.#storage.exec(query, ...bindings);
  }
}
