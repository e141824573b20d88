/**
 * What a partition does by alarm: roll, expire, delete, upload to R2, drop from SQLite. Every step is one transaction or
 * one idempotent call, so the object may be killed between any two lines and the next run goes on from what is stored.
 */

import { ABANDONED_PUT_MS_MAX, LOCAL_BYTES_TARGET } from "../../src/model/limits.ts";
import { segmentObjectKey } from "../../src/tier/segment-object.ts";
import type { PartitionLeader } from "./leader.ts";
import { type SegmentRow, SegmentState } from "./log-store.ts";
import { uploadSegment } from "./segment-upload.ts";
import type { Clock, LogStorage } from "./storage.ts";

const SEGMENTS_PER_PAGE = 100;
/** R2 deletes at most 1,000 objects in a call. */
const DELETIONS_PER_CALL = 1_000;
const PUT_ABANDONED_AT = "put_abandoned_at_ms";

export class Housekeeping {
  readonly #leader: PartitionLeader;
  readonly #bucket: R2Bucket;
  readonly #storage: LogStorage;
  readonly #clock: Clock;
  #hasTakenOver = false;

  constructor(leader: PartitionLeader, bucket: R2Bucket, storage: LogStorage, clock: Clock) {
    this.#leader = leader;
    this.#bucket = bucket;
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Does all that is due. Throws when R2 fails; what was done until then stays done. */
  async run(): Promise<void> {
    if (!this.#leader.isOpen || this.#leader.isRetired) return;
    this.#takeOver();
    this.#rollOld();
    this.#expireAll();
    await this.#deleteObjects();
    await this.#uploadSealed();
    this.#dropUploaded();
  }

  /** When something will be due, in ms, or undefined if nothing will be without another append. */
  nextDueMs(): number | undefined {
    if (!this.#leader.isOpen || this.#leader.isRetired) return undefined;
    const { store, log, configs } = this.#leader;
    const due: number[] = [];
    const { active } = log;
    if (active !== undefined && active.bytes > 0) {
      due.push(active.stateAtMs + configs.segmentMs);
    }
    const oldest = store.oldestLiveSegments(1)[0];
    if (oldest !== undefined && configs.retentionMs !== Number.POSITIVE_INFINITY) {
      const newest = oldest.state === SegmentState.active ? (active ?? oldest) : oldest;
      if (newest.bytes > 0) due.push(this.#expiresAtMs(newest));
    }
    due.push(store.nextDeletionAtMs() ?? Number.POSITIVE_INFINITY);
    if (this.#tiers && this.#nextToUpload() !== undefined) due.push(this.#clock.now());
    due.push(this.#nextDrop()?.atMs ?? Number.POSITIVE_INFINITY);
    const next = Math.min(...due);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  /**
   * Until then (ms) an object may turn up in R2 whose put failed, or was under way when the instance before this one was
   * lost: what is deleted earlier may come back.
   */
  abandonedPutsEndMs(): number {
    // Blank, or removed already: then the caller has not heard of it.
    if (!this.#leader.store.exists()) return Number.NEGATIVE_INFINITY;
    this.#takeOver();
    const abandonedAt = this.#leader.store.setting(PUT_ABANDONED_AT);
    return abandonedAt === undefined ? Number.NEGATIVE_INFINITY : Number(abandonedAt) + ABANDONED_PUT_MS_MAX;
  }

  /** Once: later on, what is being uploaded is this instance's own. */
  #takeOver(): void {
    if (this.#hasTakenOver) return;
    this.#hasTakenOver = true;
    if (this.#leader.store.segmentsIn(SegmentState.uploading, 1).length > 0) this.#noteAbandonedPut();
  }

  #noteAbandonedPut(): void {
    this.#leader.store.setSetting(PUT_ABANDONED_AT, String(this.#clock.now()));
  }

  get #tiers(): boolean {
    const { remoteStorageEnable, remoteLogCopyDisable } = this.#leader.configs;
    return remoteStorageEnable && !remoteLogCopyDisable;
  }

  #rollOld(): void {
    const { active } = this.#leader.log;
    if (active === undefined || active.bytes === 0) return;
    if (this.#clock.now() - active.stateAtMs >= this.#leader.configs.segmentMs) this.#leader.roll();
  }

  // ── retention ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Whoever waits for it is told once where the log begins now, also if a segment could not be retired. */
  #expireAll(): void {
    const { log } = this.#leader;
    const before = log.logStartOffset;
    try {
      this.#expire();
    } finally {
      if (log.logStartOffset !== before) this.#leader.logStartMoved();
    }
  }

  /** Segments leave the log oldest first: the log start moves, SQLite is freed, the object is deleted later. */
  #expire(): void {
    const { store, log, configs } = this.#leader;
    let bytes = store.sealedTotals().bytes + (log.active?.bytes ?? 0);
    for (;;) {
      const page = store.oldestLiveSegments(SEGMENTS_PER_PAGE);
      for (const segment of page) {
        if (segment.state === SegmentState.active) {
          if (!this.#activeHasExpired()) return;
          this.#leader.roll();
          break;
        }
        const expired =
          segment.nextOffset <= log.logStartOffset ||
          bytes - segment.bytes >= configs.retentionBytes ||
          this.#expiresAtMs(segment) < this.#clock.now();
        if (!expired) return;
        this.#retire(segment);
        bytes -= segment.bytes;
      }
      if (page.length === 0) return;
    }
  }

  #activeHasExpired(): boolean {
    const { active, logStartOffset } = this.#leader.log;
    if (active === undefined || active.bytes === 0) return false;
    return active.nextOffset <= logStartOffset || this.#expiresAtMs(active) < this.#clock.now();
  }

  #expiresAtMs(segment: SegmentRow): number {
    // Records without a timestamp count from when their segment was last touched.
    const newestMs = segment.maxTimestamp >= 0 ? segment.maxTimestamp : segment.stateAtMs;
    return newestMs + this.#leader.configs.retentionMs;
  }

  #retire(segment: SegmentRow): void {
    const { store, log, configs } = this.#leader;
    const objectDueMs = Math.max(this.#clock.now() + configs.fileDeleteDelayMs, this.abandonedPutsEndMs());
    this.#storage.transactionSync(() => {
      if (segment.nextOffset > log.logStartOffset) log.setLogStart(segment.nextOffset);
      store.dropSegmentTable(segment);
      if (segment.state === SegmentState.sealed) store.deleteSegmentRow(segment);
      else store.setSegmentState(segment, SegmentState.deleting, objectDueMs);
    });
    log.refreshTotals();
  }

  async #deleteObjects(): Promise<void> {
    const { store } = this.#leader;
    const nowMs = this.#clock.now();
    for (;;) {
      const due = store.dueDeletions(nowMs, DELETIONS_PER_CALL);
      if (due.length === 0) return;
      await this.#bucket.delete(due.map((segment) => this.#keyOf(segment)));
      this.#storage.transactionSync(() => {
        for (const segment of due) store.deleteSegmentRow(segment);
      });
    }
  }

  // ── tiering ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #uploadSealed(): Promise<void> {
    const { store, log } = this.#leader;
    while (this.#tiers && !this.#leader.isRetired) {
      const segment = this.#nextToUpload();
      if (segment === undefined) return;
      // From here an object may exist: whoever retires the segment deletes it too.
      store.setSegmentState(segment, SegmentState.uploading, this.#clock.now());
      const index = await this.#upload(segment);
      store.setSegmentUploaded(segment, index, this.#clock.now());
      log.refreshTotals();
      this.#dropUploaded();
    }
  }

  async #upload(segment: SegmentRow): Promise<Uint8Array> {
    const { store, configs } = this.#leader;
    try {
      return await uploadSegment(
        this.#bucket,
        this.#keyOf(segment),
        store,
        segment,
        configs.indexIntervalBytes,
      );
    } catch (error) {
      // R2 may have stored the object all the same, or be about to.
      this.#noteAbandonedPut();
      throw error;
    }
  }

  #nextToUpload(): SegmentRow | undefined {
    const { store } = this.#leader;
    return store.segmentsIn(SegmentState.uploading, 1)[0] ?? store.segmentsIn(SegmentState.sealed, 1)[0];
  }

  #dropUploaded(): void {
    const { store, log } = this.#leader;
    for (let next = this.#nextDrop(); next !== undefined; next = this.#nextDrop()) {
      const { segment, atMs } = next;
      if (atMs > this.#clock.now()) return;
      this.#storage.transactionSync(() => {
        store.setSegmentState(segment, SegmentState.remote, this.#clock.now());
        store.dropSegmentTable(segment);
      });
      log.refreshTotals();
    }
  }

  /** The oldest segment that is in both places, and when SQLite may let go of it. */
  #nextDrop(): { segment: SegmentRow; atMs: number } | undefined {
    const { store, log, configs } = this.#leader;
    const segment = store.segmentsIn(SegmentState.uploaded, 1)[0];
    if (segment === undefined) return undefined;
    const bytesMax = configs.localRetentionBytes ?? LOCAL_BYTES_TARGET;
    const isOverBytes = log.localBytes - segment.bytes >= bytesMax;
    const retentionMs = configs.localRetentionMs ?? configs.retentionMs;
    const newestMs = segment.maxTimestamp >= 0 ? segment.maxTimestamp : segment.stateAtMs;
    const expiresAtMs = isOverBytes ? 0 : newestMs + retentionMs;
    return { segment, atMs: Math.max(expiresAtMs, segment.stateAtMs + configs.localDropDelayMs) };
  }

  #keyOf(segment: SegmentRow): string {
    return segmentObjectKey(this.#leader.identity, segment.generation, segment.baseOffset);
  }
}
