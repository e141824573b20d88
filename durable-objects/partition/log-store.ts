/**
 * The partition's tables. All SQL of the log stands here.
 *
 * A segment is a table (`segment_<base offset>_<generation>`), so that retiring it is one DROP; a commit group is one
 * row of it, keyed by base offset, with no secondary index: the platform bills rows, not bytes. `headers` repeats the
 * 61-byte header of every batch in the row, so that recovery and look-ups by time read no record.
 */

import { CREATE_ABORTED_TRANSACTIONS } from "./aborted-transactions.ts";
import { blob, integer, type LogStorage, type SqlRow, text } from "./storage.ts";

/** A segment's way through life; the order matters, see {@link LOCAL_STATES}. */
export const SegmentState = {
  /** Being appended to. */
  active: 0,
  /** Full or old: nothing is appended any more. */
  sealed: 1,
  /** An object may exist in R2. */
  uploading: 2,
  /** In SQLite and in R2. */
  uploaded: 3,
  /** In R2 only. */
  remote: 4,
  /** Left the log; its object goes when `state_at_ms` comes. */
  deleting: 5,
} as const;
export type SegmentState = (typeof SegmentState)[keyof typeof SegmentState];

const LOCAL_STATES = "(0, 1, 2, 3)";
const REMOTE_STATES = "(3, 4)";
const LIVE_STATES = "(0, 1, 2, 3, 4)";

export interface SegmentRow {
  readonly baseOffset: number;
  readonly generation: number;
  /** Of an active segment: as of its creation, see the partition's memory. */
  readonly nextOffset: number;
  readonly bytes: number;
  readonly maxTimestamp: number;
  readonly state: SegmentState;
  /** When the state was entered; of a deleting segment, when its object is due. */
  readonly stateAtMs: number;
}

export interface GroupRow {
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** Bytes of the segment before this row. */
  readonly position: number;
  /** The largest timestamp in the segment up to and including this row. */
  readonly maxTimestamp: number;
}

export interface NewGroupRow extends GroupRow {
  readonly headers: Uint8Array;
  readonly batches: Uint8Array;
}

export interface LogTotals {
  readonly segments: number;
  readonly bytes: number;
}

const SEGMENT_COLUMNS = "base_offset, generation, next_offset, bytes, max_timestamp, state, state_at_ms";

export class LogStore {
  readonly #storage: LogStorage;

  constructor(storage: LogStorage) {
    this.#storage = storage;
  }

  /** Whether the tables exist: a partition that was never appended to has none. */
  exists(): boolean {
    return this.#exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'settings'").length > 0;
  }

  create(): void {
    for (const statement of [
      `CREATE TABLE settings (key TEXT PRIMARY KEY, value) WITHOUT ROWID`,
      `CREATE TABLE leader_epochs (epoch INTEGER PRIMARY KEY, start_offset INTEGER NOT NULL)`,
      `CREATE TABLE producers (chunk INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, snapshot BLOB NOT NULL)`,
      `CREATE TABLE segments (base_offset INTEGER PRIMARY KEY, generation INTEGER NOT NULL,
         next_offset INTEGER NOT NULL, bytes INTEGER NOT NULL, max_timestamp INTEGER NOT NULL,
         state INTEGER NOT NULL, state_at_ms INTEGER NOT NULL, "index" BLOB)`,
      `CREATE INDEX segments_by_state ON segments (state)`,
      CREATE_ABORTED_TRANSACTIONS,
    ]) {
      this.#exec(statement);
    }
  }

  // ── settings ───────────────────────────────────────────────────────────────────────────────────────────────────────

  setting(key: string): string | undefined {
    const [row] = this.#exec("SELECT value FROM settings WHERE key = ?", key);
    return row === undefined ? undefined : text(row, "value");
  }

  setSetting(key: string, value: string): void {
    this.#exec(
      "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }

  /** Touches storage: the platform then checks that this object is still the only one of its name. */
  confirmUniqueness(): void {
    this.#exec("SELECT 1 FROM settings LIMIT 1");
  }

  // ── leader epochs ──────────────────────────────────────────────────────────────────────────────────────────────────

  addLeaderEpoch(epoch: number, startOffset: number): void {
    this.#exec("INSERT OR IGNORE INTO leader_epochs (epoch, start_offset) VALUES (?, ?)", epoch, startOffset);
  }

  leaderEpochs(): { epoch: number; startOffset: number }[] {
    return this.#exec("SELECT epoch, start_offset FROM leader_epochs ORDER BY epoch").map((row) => ({
      epoch: integer(row, "epoch"),
      startOffset: integer(row, "start_offset"),
    }));
  }

  // ── producer snapshot ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Replaces the snapshot; it covers the log before `nextOffset`. */
  saveProducers(nextOffset: number, chunks: readonly Uint8Array[]): void {
    for (const [chunk, snapshot] of chunks.entries()) {
      this.#exec(
        `INSERT INTO producers (chunk, next_offset, snapshot) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset, snapshot = excluded.snapshot`,
        chunk,
        nextOffset,
        snapshot,
      );
    }
    this.#exec("DELETE FROM producers WHERE chunk >= ?", chunks.length);
  }

  loadProducers(): { nextOffset: number; chunks: Uint8Array[] } {
    const rows = this.#exec("SELECT next_offset, snapshot FROM producers ORDER BY chunk");
    return {
      nextOffset: rows[0] === undefined ? 0 : integer(rows[0], "next_offset"),
      chunks: rows.map((row) => blob(row, "snapshot")),
    };
  }

  // ── segments ───────────────────────────────────────────────────────────────────────────────────────────────────────

  createSegment(baseOffset: number, generation: number, nowMs: number): SegmentRow {
    const segment: SegmentRow = {
      baseOffset,
      generation,
      nextOffset: baseOffset,
      bytes: 0,
      maxTimestamp: -1,
      state: SegmentState.active,
      stateAtMs: nowMs,
    };
    this.#exec(
      `CREATE TABLE ${tableName(segment)} (base_offset INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL,
         position INTEGER NOT NULL, max_timestamp INTEGER NOT NULL, headers BLOB NOT NULL, batches BLOB NOT NULL)`,
    );
    this.#exec(
      `INSERT INTO segments (${SEGMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      baseOffset,
      generation,
      baseOffset,
      0,
      -1,
      SegmentState.active,
      nowMs,
    );
    return segment;
  }

  sealSegment(segment: SegmentRow, nowMs: number): void {
    this.#exec(
      "UPDATE segments SET next_offset = ?, bytes = ?, max_timestamp = ?, state = ?, state_at_ms = ? WHERE base_offset = ?",
      segment.nextOffset,
      segment.bytes,
      segment.maxTimestamp,
      SegmentState.sealed,
      nowMs,
      segment.baseOffset,
    );
  }

  setSegmentState(segment: SegmentRow, state: SegmentState, atMs: number): void {
    this.#exec(
      "UPDATE segments SET state = ?, state_at_ms = ? WHERE base_offset = ?",
      state,
      atMs,
      segment.baseOffset,
    );
  }

  setSegmentUploaded(segment: SegmentRow, index: Uint8Array, nowMs: number): void {
    this.#exec(
      `UPDATE segments SET state = ?, state_at_ms = ?, "index" = ? WHERE base_offset = ?`,
      SegmentState.uploaded,
      nowMs,
      index,
      segment.baseOffset,
    );
  }

  dropSegmentTable(segment: SegmentRow): void {
    this.#exec(`DROP TABLE IF EXISTS ${tableName(segment)}`);
  }

  deleteSegmentRow(segment: SegmentRow): void {
    this.#exec("DELETE FROM segments WHERE base_offset = ?", segment.baseOffset);
  }

  segmentIndex(segment: SegmentRow): Uint8Array {
    const [row] = this.#exec(`SELECT "index" FROM segments WHERE base_offset = ?`, segment.baseOffset);
    if (row === undefined) throw new Error(`segment ${segment.baseOffset} has no row`);
    return blob(row, "index");
  }

  activeSegment(): SegmentRow | undefined {
    return this.#segments("WHERE state = 0 ORDER BY base_offset DESC LIMIT 1")[0];
  }

  /** The live segment that contains an offset (or the last that begins before it). */
  segmentOf(offset: number): SegmentRow | undefined {
    return this.#segments(
      `WHERE base_offset <= ? AND state IN ${LIVE_STATES} ORDER BY base_offset DESC LIMIT 1`,
      offset,
    )[0];
  }

  /** The first live, sealed segment that reaches beyond `offset` and has a record at or after the time. */
  segmentOfTimestamp(timestampMs: number, offset: number): SegmentRow | undefined {
    return this.#segments(
      `WHERE max_timestamp >= ? AND next_offset > ? AND state IN (1, 2, 3, 4) ORDER BY base_offset LIMIT 1`,
      timestampMs,
      offset,
    )[0];
  }

  maxTimestampSealed(offset: number): number {
    const [row] = this.#exec(
      "SELECT coalesce(max(max_timestamp), -1) AS most FROM segments WHERE next_offset > ? AND state IN (1, 2, 3, 4)",
      offset,
    );
    return row === undefined ? -1 : integer(row, "most");
  }

  /** Oldest first. */
  segmentsIn(state: SegmentState, limit: number): SegmentRow[] {
    return this.#segments("WHERE state = ? ORDER BY base_offset LIMIT ?", state, limit);
  }

  /** Oldest first. */
  oldestLiveSegments(limit: number): SegmentRow[] {
    return this.#segments(`WHERE state IN ${LIVE_STATES} ORDER BY base_offset LIMIT ?`, limit);
  }

  earliestLocalOffset(): number | undefined {
    const [row] = this.#exec(
      `SELECT base_offset FROM segments WHERE state IN ${LOCAL_STATES} ORDER BY base_offset LIMIT 1`,
    );
    return row === undefined ? undefined : integer(row, "base_offset");
  }

  /** The offset after the last record that is in R2, or undefined. */
  tieredEnd(): number | undefined {
    const [row] = this.#exec(
      `SELECT next_offset FROM segments WHERE state IN ${REMOTE_STATES} ORDER BY base_offset DESC LIMIT 1`,
    );
    return row === undefined ? undefined : integer(row, "next_offset");
  }

  /** Without the active segment, whose row does not know its size. */
  localTotals(): LogTotals {
    return this.#totals("state IN (1, 2, 3)");
  }

  remoteTotals(): LogTotals {
    return this.#totals(`state IN ${REMOTE_STATES}`);
  }

  /** Of all tiers, each segment once, without the active one. */
  sealedTotals(): LogTotals {
    return this.#totals("state IN (1, 2, 3, 4)");
  }

  /** Deleted segments whose objects are due. */
  dueDeletions(nowMs: number, limit: number): SegmentRow[] {
    return this.#segments("WHERE state = 5 AND state_at_ms <= ? ORDER BY base_offset LIMIT ?", nowMs, limit);
  }

  /** When the first deleted segment's object is due. */
  nextDeletionAtMs(): number | undefined {
    const [row] = this.#exec("SELECT min(state_at_ms) AS due FROM segments WHERE state = 5");
    return row === undefined || row.due === null ? undefined : integer(row, "due");
  }

  // ── commit groups ──────────────────────────────────────────────────────────────────────────────────────────────────

  insertGroup(segment: SegmentRow, row: NewGroupRow): void {
    this.#exec(
      `INSERT INTO ${tableName(segment)} (base_offset, next_offset, position, max_timestamp, headers, batches)
       VALUES (?, ?, ?, ?, ?, ?)`,
      row.baseOffset,
      row.nextOffset,
      row.position,
      row.maxTimestamp,
      row.headers,
      row.batches,
    );
  }

  lastGroup(segment: SegmentRow): (GroupRow & { readonly bytes: number }) | undefined {
    const [row] = this.#exec(
      `SELECT base_offset, next_offset, position, max_timestamp, length(batches) AS bytes FROM ${tableName(segment)}
       ORDER BY base_offset DESC LIMIT 1`,
    );
    return row === undefined ? undefined : { ...toGroup(row), bytes: integer(row, "bytes") };
  }

  /** Base offset of the group that contains an offset. */
  groupOf(segment: SegmentRow, offset: number): number | undefined {
    const [row] = this.#exec(
      `SELECT base_offset FROM ${tableName(segment)} WHERE base_offset <= ? ORDER BY base_offset DESC LIMIT 1`,
      offset,
    );
    return row === undefined ? undefined : integer(row, "base_offset");
  }

  /** Sizes of the groups from one on, in order; `length` of a blob does not read it. */
  groupSizes(
    segment: SegmentRow,
    fromOffset: number,
    limit: number,
  ): { baseOffset: number; bytes: number }[] {
    return this.#exec(
      `SELECT base_offset, length(batches) AS bytes FROM ${tableName(segment)} WHERE base_offset >= ?
       ORDER BY base_offset LIMIT ?`,
      fromOffset,
      limit,
    ).map((row) => ({ baseOffset: integer(row, "base_offset"), bytes: integer(row, "bytes") }));
  }

  /** The batches of the groups whose base offsets lie in [from, to]. */
  groupBatches(segment: SegmentRow, from: number, to: number): Uint8Array[] {
    return this.#exec(
      `SELECT batches FROM ${tableName(segment)} WHERE base_offset BETWEEN ? AND ? ORDER BY base_offset`,
      from,
      to,
    ).map((row) => blob(row, "batches"));
  }

  /** The whole segment in order, in pieces of whole groups that have about `pieceBytes` (one group, if that is larger). */
  *segmentPieces(segment: SegmentRow, pieceBytes: number): Generator<Uint8Array[]> {
    for (let from = segment.baseOffset; from < segment.nextOffset; ) {
      const sizes = this.groupSizes(segment, from, 256);
      let bytes = 0;
      let to: number | undefined;
      for (const group of sizes) {
        if (to !== undefined && bytes + group.bytes > pieceBytes) break;
        bytes += group.bytes;
        to = group.baseOffset;
      }
      if (to === undefined) return;
      yield this.groupBatches(segment, from, to);
      from = to + 1;
    }
  }

  /** Batch headers of the groups from one on, in order. */
  groupHeaders(
    segment: SegmentRow,
    fromOffset: number,
    limit: number,
  ): { baseOffset: number; headers: Uint8Array }[] {
    return this.#exec(
      `SELECT base_offset, headers FROM ${tableName(segment)} WHERE base_offset >= ? ORDER BY base_offset LIMIT ?`,
      fromOffset,
      limit,
    ).map((row) => ({ baseOffset: integer(row, "base_offset"), headers: blob(row, "headers") }));
  }

  /** Batch headers of the group that contains an offset. */
  headersOf(segment: SegmentRow, offset: number): Uint8Array {
    const [row] = this.#exec(
      `SELECT headers FROM ${tableName(segment)} WHERE base_offset <= ? ORDER BY base_offset DESC LIMIT 1`,
      offset,
    );
    if (row === undefined) throw new Error(`segment ${segment.baseOffset} does not contain offset ${offset}`);
    return blob(row, "headers");
  }

  /** The first group that reaches beyond an offset and at whose end the segment's largest timestamp is at least this. */
  groupOfTimestamp(
    segment: SegmentRow,
    timestampMs: number,
    offset: number,
  ): { baseOffset: number; headers: Uint8Array } | undefined {
    const [row] = this.#exec(
      `SELECT base_offset, headers FROM ${tableName(segment)} WHERE max_timestamp >= ? AND next_offset > ?
       ORDER BY base_offset LIMIT 1`,
      timestampMs,
      offset,
    );
    return row === undefined
      ? undefined
      : { baseOffset: integer(row, "base_offset"), headers: blob(row, "headers") };
  }

  #totals(where: string): LogTotals {
    const [row] = this.#exec(
      `SELECT count(*) AS segments, coalesce(sum(bytes), 0) AS bytes FROM segments WHERE ${where}`,
    );
    return row === undefined
      ? { segments: 0, bytes: 0 }
      : { segments: integer(row, "segments"), bytes: integer(row, "bytes") };
  }

  #segments(where: string, ...bindings: number[]): SegmentRow[] {
    return this.#exec(`SELECT ${SEGMENT_COLUMNS} FROM segments ${where}`, ...bindings).map(toSegment);
  }

  #exec(query: string, ...bindings: (Uint8Array | string | number | null)[]): SqlRow[] {
    return this.#storage.exec(query, ...bindings);
  }
}

function tableName({ baseOffset, generation }: SegmentRow): string {
  return `segment_${baseOffset}_${generation}`;
}

function toSegment(row: SqlRow): SegmentRow {
  return {
    baseOffset: integer(row, "base_offset"),
    generation: integer(row, "generation"),
    nextOffset: integer(row, "next_offset"),
    bytes: integer(row, "bytes"),
    maxTimestamp: integer(row, "max_timestamp"),
    state: toState(integer(row, "state")),
    stateAtMs: integer(row, "state_at_ms"),
  };
}

function toState(value: number): SegmentState {
  const state = Object.values(SegmentState).find((known) => known === value);
  if (state === undefined) throw new RangeError(`there is no segment state ${value}`);
  return state;
}

function toGroup(row: SqlRow): GroupRow {
  return {
    baseOffset: integer(row, "base_offset"),
    nextOffset: integer(row, "next_offset"),
    position: integer(row, "position"),
    maxTimestamp: integer(row, "max_timestamp"),
  };
}
