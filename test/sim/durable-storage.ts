/**
 * What a Durable Object has stored: SQLite and an alarm. Everything that one turn writes is one commit; commits become
 * durable in order, some time later, and a crash takes back those that are not. Until then each is a savepoint.
 */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { SqlRow, SqlValue } from "../../durable-objects/partition/storage.ts";

const WRITES = /^\s*(INSERT|UPDATE|DELETE|CREATE|DROP)/i;

interface Statement {
  readonly prepared: StatementSync;
  readonly writes: boolean;
}

/** Each one that is set is another, even if it is for the same time. */
export interface Alarm {
  /** ms since the epoch; null: none. */
  readonly atMs: number | null;
}

export const NO_ALARM: Alarm = { atMs: null };

export class DurableStorage {
  #database: DatabaseSync | undefined;
  readonly #statements = new Map<string, Statement>();
  #isTurnOpen = false;
  /** The alarm after each commit that is not durable. */
  #alarms: Alarm[] = [];
  #durableAlarm: Alarm = NO_ALARM;
  /** As set last. */
  alarm: Alarm = NO_ALARM;
  /** The number of the last commit, counted from 1; that of the turn that is under way, if it has written. */
  written = 0;
  /** All commits up to this one are durable. */
  durable = 0;

  /** `fail` is asked before each write, and may throw. */
  exec(query: string, bindings: readonly SqlValue[], fail: () => void): SqlRow[] {
    const { prepared, writes } = this.#statement(query);
    if (writes) {
      fail();
      this.#beginTurn();
    }
    // It refuses integers that are not safe, so these are SqlRows.
    return prepared.all(...bindings.map(toInput)) as SqlRow[];
  }

  transactionSync<T>(closure: () => T): T {
    this.#beginTurn();
    this.#run("SAVEPOINT change");
    try {
      const result = closure();
      this.#run("RELEASE change");
      return result;
    } catch (error) {
      // Unless it was a crash, which leaves nothing to take back.
      if (this.#isTurnOpen) this.#run("ROLLBACK TO change; RELEASE change");
      throw error;
    }
  }

  setAlarm(atMs: number | null): void {
    this.#beginTurn();
    this.alarm = { atMs };
  }

  deleteAll(): void {
    const tables = this.exec("SELECT name FROM sqlite_master WHERE type = 'table'", [], () => undefined);
    this.#beginTurn();
    for (const { name } of tables) this.#run(`DROP TABLE "${name}"`);
    this.alarm = NO_ALARM;
  }

  /** The number of the commit if the turn has written anything. */
  endTurn(): number | undefined {
    if (!this.#isTurnOpen) return undefined;
    this.#isTurnOpen = false;
    this.#alarms.push(this.alarm);
    return this.written;
  }

  /** The commits up to this one are durable. */
  confirm(commit: number): void {
    this.#durableAlarm = this.#alarms.splice(0, commit - this.durable).at(-1) ?? this.#durableAlarm;
    this.durable = commit;
    if (this.written === commit) this.#run("COMMIT");
  }

  /** What the platform goes by. */
  get durableAlarm(): Alarm {
    return this.#durableAlarm;
  }

  /** How many commits may outlive a crash now, though nobody knows of them yet. */
  get unconfirmed(): number {
    return this.#alarms.length;
  }

  /** Only the first `survivors` of the unconfirmed commits have ever been made. */
  crash(survivors: number): void {
    const kept = this.durable + survivors;
    if (this.written > kept) this.#run(`ROLLBACK TO commit_${kept + 1}`);
    if (this.written > this.durable) this.#run("COMMIT");
    this.#durableAlarm = this.#alarms[survivors - 1] ?? this.#durableAlarm;
    this.#alarms = [];
    this.alarm = this.#durableAlarm;
    this.#isTurnOpen = false;
    this.written = kept;
    this.durable = kept;
  }

  get isBlank(): boolean {
    return (
      this.#database === undefined || this.exec("SELECT 1 FROM sqlite_master", [], () => {}).length === 0
    );
  }

  close(): void {
    this.#database?.close();
  }

  #beginTurn(): void {
    if (this.#isTurnOpen) return;
    if (this.written === this.durable) this.#run("BEGIN");
    this.written++;
    this.#run(`SAVEPOINT commit_${this.written}`);
    this.#isTurnOpen = true;
  }

  #run(sql: string): void {
    this.#open().exec(sql);
  }

  #statement(query: string): Statement {
    const known = this.#statements.get(query);
    if (known !== undefined) return known;
    const statement = { prepared: this.#open().prepare(query), writes: WRITES.test(query) };
    this.#statements.set(query, statement);
    return statement;
  }

  #open(): DatabaseSync {
    this.#database ??= new DatabaseSync(":memory:");
    return this.#database;
  }
}

function toInput(value: SqlValue): SQLInputValue {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}
