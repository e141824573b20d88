/**
 * The log itself: commit groups in segment tables, the newest also in memory, the oldest only in R2. It knows offsets
 * and bytes; what producers and topics may do is the leader's business.
 */

import {
  BATCH_HEADER_BYTES,
  batchHeaders,
  batchTime,
  readBatchHeader,
  sliceFrom,
} from "../../src/log/batch-header.ts";
import { concatBytes, releaseBytes } from "../../src/model/bytes.ts";
import type { PartitionIdentity } from "../../src/model/ids.ts";
import {
  COMMIT_GROUP_BYTES_MAX,
  LAG_MARKERS_PASSED_MAX,
  READ_BYTES_MAX,
  SEGMENT_OFFSETS_MAX,
} from "../../src/model/limits.ts";
import type { TopicConfigs } from "../../src/model/topic-configs.ts";
import { SegmentIndex } from "../../src/tier/segment-index.ts";
import { type RemoteRange, segmentObjectKey } from "../../src/tier/segment-object.ts";
import type { AssignedBatch } from "./commit-queue.ts";
import { type LogStore, type SegmentRow, SegmentState } from "./log-store.ts";
import type { Tail } from "./tail-cache.ts";

const LOG_START = "log_start_offset";
/** How many sizes of groups one look-up reads. */
const GROUP_SIZES_PAGE = 256;
const HEADERS_PAGE = 64;

/** Where in R2 a read goes on, and the offset that it will not go beyond. */
export interface RemoteSpan {
  readonly range: RemoteRange;
  readonly nextOffset: number;
}

/** Where the first batch with a timestamp is. */
export type TimestampSearch =
  | { readonly kind: "none" }
  | { readonly kind: "batch"; readonly batch: Uint8Array }
  | { readonly kind: "remote"; readonly range: RemoteRange; readonly nextOffset: number };

export class SegmentedLog {
  readonly #store: LogStore;
  readonly #identity: PartitionIdentity;
  readonly #tail: Tail;
  /** Its row knows only its beginning; nextOffset, bytes and maxTimestamp are kept here. */
  #active: SegmentRow | undefined;
  #sealedLocalBytes = 0;
  #logStartOffset = 0;

  constructor(store: LogStore, identity: PartitionIdentity, tail: Tail) {
    this.#store = store;
    this.#identity = identity;
    this.#tail = tail;
  }

  /** Reads back where the log begins and ends: one row of the active segment, whatever its size. */
  recover(): void {
    this.#logStartOffset = Number(this.#store.setting(LOG_START) ?? 0);
    this.refreshTotals();
    const active = this.#store.activeSegment();
    if (active === undefined) throw new Error("the log has tables but no active segment");
    const last = this.#store.lastGroup(active);
    this.#active =
      last === undefined
        ? active
        : {
            ...active,
            nextOffset: last.nextOffset,
            bytes: last.position + last.bytes,
            maxTimestamp: last.maxTimestamp,
          };
  }

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  /** The offset after the last record that is written. */
  get logEndOffset(): number {
    return this.#active?.nextOffset ?? 0;
  }

  get active(): SegmentRow | undefined {
    return this.#active;
  }

  /** Bytes in SQLite. */
  get localBytes(): number {
    return this.#sealedLocalBytes + (this.#active?.bytes ?? 0);
  }

  earliestLocalOffset(): number {
    if (this.#active === undefined) return 0;
    return Math.max(this.#logStartOffset, this.#store.earliestLocalOffset() ?? this.logEndOffset);
  }

  /** Counts anew what housekeeping changed. */
  refreshTotals(): void {
    this.#sealedLocalBytes = this.#store.localTotals().bytes;
  }

  // ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Begins the log of a partition that is written for the first time. Within the caller's transaction. */
  begin(nowMs: number): void {
    this.#active = this.#store.createSegment(0, 0, nowMs);
  }

  /**
   * Writes batches as rows, rolling where a segment is full. Within the caller's transaction. True if it rolled. The
   * batches' buffers become the log's: nobody may look at them again.
   */
  write(batches: readonly AssignedBatch[], configs: TopicConfigs, nowMs: number): boolean {
    let rolled = false;
    let group: AssignedBatch[] = [];
    let bytes = 0;
    let rowBytes = 0;
    const insert = () => {
      if (group.length > 0) this.#insert(group, bytes);
      group = [];
      bytes = 0;
      rowBytes = 0;
    };
    for (const batch of batches) {
      const active = this.#requireActive();
      const segmentIsFull =
        active.bytes + bytes + batch.bytes.length > configs.segmentBytes ||
        batch.nextOffset - active.baseOffset > SEGMENT_OFFSETS_MAX ||
        nowMs - active.stateAtMs >= configs.segmentMs;
      if (segmentIsFull && active.bytes + bytes > 0) {
        insert();
        this.roll(nowMs);
        rolled = true;
      } else if (rowBytes + rowBytesOf(batch) > COMMIT_GROUP_BYTES_MAX) {
        insert();
      }
      group.push(batch);
      bytes += batch.bytes.length;
      rowBytes += rowBytesOf(batch);
    }
    insert();
    return rolled;
  }

  /** Seals the active segment and begins a new one at the log end. Within the caller's transaction. */
  roll(nowMs: number): void {
    const sealed = this.#requireActive();
    this.#store.sealSegment(sealed, nowMs);
    this.#sealedLocalBytes += sealed.bytes;
    this.#active = this.#store.createSegment(sealed.nextOffset, 0, nowMs);
  }

  setLogStart(offset: number): void {
    this.#store.setSetting(LOG_START, String(offset));
    this.#logStartOffset = offset;
  }

  forgetTail(): void {
    this.#tail.clear();
  }

  #insert(group: readonly AssignedBatch[], bytes: number): void {
    const active = this.#requireActive();
    const baseOffset = group[0]?.baseOffset ?? active.nextOffset;
    if (baseOffset !== active.nextOffset) {
      throw new Error(`offset ${baseOffset} does not follow the log end ${active.nextOffset}`);
    }
    const nextOffset = group.at(-1)?.nextOffset ?? active.nextOffset;
    const maxTimestamp = group.reduce(
      (most, batch) => Math.max(most, batch.maxTimestamp),
      active.maxTimestamp,
    );
    const row = {
      baseOffset,
      nextOffset,
      position: active.bytes,
      maxTimestamp,
      headers: concatBytes(group.map((batch) => batch.bytes.subarray(0, BATCH_HEADER_BYTES))),
      batches: takeBytes(group),
    };
    this.#store.insertGroup(active, row);
    this.#tail.push({ baseOffset, nextOffset, batches: row.batches });
    this.#active = { ...active, nextOffset, maxTimestamp, bytes: active.bytes + bytes };
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Whole batches from the one that contains `offset`, at most `maxBytes` but at least one; empty at the log end, and from
   * `beforeOffset` on, at which a batch begins.
   */
  read(
    offset: number,
    maxBytes: number,
    beforeOffset: number = this.logEndOffset,
  ): Uint8Array | RemoteSpan | "out_of_range" {
    if (offset < this.#logStartOffset || offset > this.logEndOffset) return "out_of_range";
    if (offset >= beforeOffset) return new Uint8Array();
    const bytesMax = Math.min(maxBytes, READ_BYTES_MAX);
    const cached = this.#tail.from(offset);
    if (cached !== undefined) return this.#before(beforeOffset, gatherBatches(cached, offset, bytesMax));
    const active = this.#requireActive();
    const segment = offset >= active.baseOffset ? active : this.#store.segmentOf(offset);
    if (segment === undefined) throw new Error(`no segment contains offset ${offset}`);
    if (segment.state === SegmentState.remote) {
      return this.#remoteSpan(segment, offset, bytesMax, beforeOffset);
    }
    const groups = this.#localBatches(segment, offset, bytesMax);
    const batches = gatherBatches(groups, offset, bytesMax);
    for (const group of groups) releaseBytes(group);
    return this.#before(beforeOffset, batches);
  }

  #before(beforeOffset: number, batches: Uint8Array): Uint8Array {
    if (beforeOffset >= this.logEndOffset) return batches;
    for (const { header, position } of batchHeaders(batches)) {
      if (header.baseOffset < beforeOffset) continue;
      const kept = batches.slice(0, position);
      releaseBytes(batches);
      return kept;
    }
    return batches;
  }

  #remoteSpan(segment: SegmentRow, offset: number, bytesMax: number, beforeOffset: number): RemoteSpan {
    const index = new SegmentIndex(this.#store.segmentIndex(segment), segment);
    const { nextOffset, ...span } = index.spanOfOffset(offset, bytesMax);
    const range = { ...this.#objectOf(segment), ...span, offset };
    return nextOffset <= beforeOffset
      ? { range, nextOffset }
      : { range: { ...range, beforeOffset }, nextOffset: beforeOffset };
  }

  /**
   * The time of the batch that holds the first record at or after `offset`, or where in R2 it is; null at the log end. Markers
   * of transactions are no records: null, too, where nothing else is left.
   */
  timeAt(offset: number): number | RemoteRange | null {
    let markers = 0;
    for (let from = Math.max(offset, this.#logStartOffset); from < this.logEndOffset; ) {
      const active = this.#requireActive();
      const segment = from >= active.baseOffset ? active : this.#store.segmentOf(from);
      if (segment === undefined) throw new Error(`no segment contains offset ${from}`);
      if (segment.state === SegmentState.remote) {
        return this.#remoteSpan(segment, from, 0, this.logEndOffset).range;
      }
      const before = from;
      for (const { header } of headersIn(this.#store.headersOf(segment, from))) {
        if (header.lastOffset < from) continue;
        if (!header.isControl || ++markers > LAG_MARKERS_PASSED_MAX) return batchTime(header);
        from = header.nextOffset;
      }
      if (from === before) throw new Error(`no batch contains offset ${from}`);
    }
    return null;
  }

  /**
   * The first batch that reaches beyond the log start, and beyond `fromOffset`, and whose maxTimestamp is at least this.
   * Of a range it may be missing: then look again from the range's `nextOffset` on. Nothing from `beforeOffset` on is
   * found, at which a batch begins.
   */
  findTimestamp(
    timestampMs: number,
    fromOffset: number = 0,
    beforeOffset: number = this.logEndOffset,
  ): TimestampSearch {
    const start = Math.max(fromOffset, this.#logStartOffset);
    for (let from = start; from < beforeOffset; ) {
      const segment = this.#store.segmentOfTimestamp(timestampMs, from) ?? this.#active;
      if (segment === undefined) return { kind: "none" };
      const found =
        segment.state === SegmentState.remote
          ? this.#findTimestampRemote(segment, timestampMs, start, beforeOffset)
          : this.#findTimestampLocal(segment, timestampMs, start, beforeOffset);
      if (found.kind !== "none" || segment === this.#active) return found;
      from = segment.nextOffset;
    }
    return { kind: "none" };
  }

  #findTimestampRemote(
    segment: SegmentRow,
    timestampMs: number,
    start: number,
    beforeOffset: number,
  ): TimestampSearch {
    const index = new SegmentIndex(this.#store.segmentIndex(segment), segment);
    const span = index.spanOfTimestamp(timestampMs, start);
    if (span === undefined) return { kind: "none" };
    const { nextOffset, ...place } = span;
    const range = { ...this.#objectOf(segment), ...place, offset: start };
    const isCutShort = nextOffset > beforeOffset;
    return { kind: "remote", range: isCutShort ? { ...range, beforeOffset } : range, nextOffset };
  }

  #findTimestampLocal(
    segment: SegmentRow,
    timestampMs: number,
    start: number,
    beforeOffset: number,
  ): TimestampSearch {
    for (let from = start; ; ) {
      const group = this.#store.groupOfTimestamp(segment, timestampMs, from);
      if (group === undefined) return { kind: "none" };
      for (const { header } of headersIn(group.headers)) {
        from = header.nextOffset;
        if (header.baseOffset >= beforeOffset) return { kind: "none" };
        if (header.isControl || header.maxTimestamp < timestampMs || header.nextOffset <= start) continue;
        const [batches = new Uint8Array()] = this.#store.groupBatches(
          segment,
          group.baseOffset,
          group.baseOffset,
        );
        return { kind: "batch", batch: sliceFrom(batches, header.baseOffset, 0).slice() };
      }
    }
  }

  maxTimestamp(): number {
    return Math.max(this.#active?.maxTimestamp ?? -1, this.#store.maxTimestampSealed(this.#logStartOffset));
  }

  /** Calls back with every batch header of the active segment from an offset on, in order. */
  replayHeaders(fromOffset: number, visit: (header: ReturnType<typeof readBatchHeader>) => void): void {
    const active = this.#requireActive();
    for (let from = fromOffset; ; ) {
      const page = this.#store.groupHeaders(active, from, HEADERS_PAGE);
      for (const { headers } of page) {
        for (const { header } of headersIn(headers)) {
          visit(header);
          from = header.nextOffset;
        }
      }
      if (page.length < HEADERS_PAGE) return;
    }
  }

  #localBatches(segment: SegmentRow, offset: number, maxBytes: number): Uint8Array[] {
    const from = this.#store.groupOf(segment, offset);
    if (from === undefined)
      throw new Error(`segment ${segment.baseOffset} does not contain offset ${offset}`);
    let to = from;
    let bytes = 0;
    for (let next = from; bytes < maxBytes; ) {
      const page = this.#store.groupSizes(segment, next, GROUP_SIZES_PAGE);
      for (const group of page) {
        // The first group counts for what follows the offset only; it is always read.
        if (bytes > 0 && bytes >= maxBytes) break;
        to = group.baseOffset;
        bytes += group.baseOffset === from ? 1 : group.bytes;
      }
      if (page.length < GROUP_SIZES_PAGE) break;
      next = to + 1;
    }
    return this.#store.groupBatches(segment, from, to);
  }

  #objectOf(segment: SegmentRow): { key: string } {
    return { key: segmentObjectKey(this.#identity, segment.generation, segment.baseOffset) };
  }

  #requireActive(): SegmentRow {
    if (this.#active === undefined) throw new Error("the log has not begun");
    return this.#active;
  }
}

/** The batches one after another; their own buffers are used up. */
function takeBytes(group: readonly AssignedBatch[]): Uint8Array {
  const [first] = group;
  if (first !== undefined && group.length === 1) return first.bytes;
  const batches = concatBytes(group.map((batch) => batch.bytes));
  for (const batch of group) releaseBytes(batch.bytes);
  return batches;
}

/** What a batch takes in its row: itself and its header once more. */
function rowBytesOf(batch: AssignedBatch): number {
  return batch.bytes.length + BATCH_HEADER_BYTES;
}

/** Whole batches out of consecutive groups: from the one that contains `offset`, at most `maxBytes` but at least one. */
function gatherBatches(groups: Iterable<Uint8Array>, offset: number, maxBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let room = maxBytes;
  for (const group of groups) {
    const part =
      parts.length === 0
        ? sliceFrom(group, offset, room)
        : group.subarray(0, wholeBatchesWithin(group, room));
    if (part.length > 0) parts.push(part);
    room -= part.length;
    const cutShort = part.byteOffset + part.length < group.byteOffset + group.length;
    if (room <= 0 || cutShort) break;
  }
  return concatBytes(parts);
}

function wholeBatchesWithin(group: Uint8Array, room: number): number {
  if (group.length <= room) return group.length;
  let end = 0;
  for (const { header, position } of batchHeaders(group)) {
    if (position + header.sizeInBytes > room) break;
    end = position + header.sizeInBytes;
  }
  return end;
}

/** The `headers` column: nothing but headers, one after another. */
function* headersIn(headers: Uint8Array) {
  for (let position = 0; position < headers.length; position += BATCH_HEADER_BYTES) {
    yield { header: readBatchHeader(headers, position) };
  }
}
