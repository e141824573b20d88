/**
 * The index of a tiered segment: sparse entries, each naming the batch that begins a span of the object. It finds an
 * offset or a time in a segment without reading it whole, as Kafka's `.index` and `.timeindex` do.
 *
 * An entry has 16 bytes, big-endian: offset relative to the segment's base (uint32), position of the batch in the
 * object (uint32), the largest timestamp in the span (float64, ms).
 */

import { SEGMENT_INDEX_BYTES_MAX } from "../model/limits.ts";

const ENTRY_BYTES = 16;

export interface IndexedSpan {
  /** Bytes from the object's start. */
  readonly position: number;
  readonly length: number;
  /** The offset after it. */
  readonly nextOffset: number;
}

/** Takes a segment's batches in order; a span closes when it has `intervalBytes`, or what keeps the index within a row. */
export class SegmentIndexBuilder {
  readonly #baseOffset: number;
  readonly #intervalBytes: number;
  readonly #entries: { offset: number; position: number; maxTimestamp: number }[] = [];

  /** `segmentBytes` is the size of the whole segment. */
  constructor(baseOffset: number, segmentBytes: number, intervalBytes: number) {
    this.#baseOffset = baseOffset;
    const entriesMax = SEGMENT_INDEX_BYTES_MAX / ENTRY_BYTES;
    this.#intervalBytes = Math.max(intervalBytes, Math.ceil(segmentBytes / entriesMax), 1);
  }

  add(batch: { readonly baseOffset: number; readonly maxTimestamp: number }, position: number): void {
    const { baseOffset: offset, maxTimestamp } = batch;
    const last = this.#entries.at(-1);
    if (last !== undefined && position - last.position < this.#intervalBytes) {
      last.maxTimestamp = Math.max(last.maxTimestamp, maxTimestamp);
      return;
    }
    this.#entries.push({ offset, position, maxTimestamp });
  }

  finish(): Uint8Array {
    const view = new DataView(new ArrayBuffer(this.#entries.length * ENTRY_BYTES));
    for (const [i, entry] of this.#entries.entries()) {
      view.setUint32(i * ENTRY_BYTES, entry.offset - this.#baseOffset);
      view.setUint32(i * ENTRY_BYTES + 4, entry.position);
      view.setFloat64(i * ENTRY_BYTES + 8, entry.maxTimestamp);
    }
    return new Uint8Array(view.buffer);
  }
}

/** What an index belongs to. */
export interface IndexedSegment {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly bytes: number;
}

/** Reads an index as {@link SegmentIndexBuilder} wrote it. */
export class SegmentIndex {
  readonly #view: DataView;
  readonly #segment: IndexedSegment;

  constructor(index: Uint8Array, segment: IndexedSegment) {
    this.#view = new DataView(index.buffer, index.byteOffset, index.byteLength);
    this.#segment = segment;
  }

  /** A span that holds the batch with this offset and at least `minBytes` from that batch on, if the segment has them. */
  spanOfOffset(offset: number, minBytes: number): IndexedSpan {
    return this.#span(this.#entryOf(offset), minBytes);
  }

  /**
   * The first span that reaches beyond an offset and has a batch whose maxTimestamp is at least this, or undefined. Where
   * the offset lies in the span itself, that batch may come before it: then look again from the span's `nextOffset` on.
   */
  spanOfTimestamp(timestampMs: number, fromOffset: number): IndexedSpan | undefined {
    for (let entry = this.#entryOf(fromOffset); entry < this.#length; entry++) {
      if (this.#maxTimestamp(entry) >= timestampMs) return this.#span(entry, 0);
    }
    return undefined;
  }

  /** The entry of the span that holds the batch with this offset. */
  #entryOf(offset: number): number {
    return Math.max(0, this.#firstEntry((i) => this.#offset(i) > offset) - 1);
  }

  /** From one entry to the first that begins at least `minBytes` after this entry's own span. */
  #span(entry: number, minBytes: number): IndexedSpan {
    const position = this.#position(entry);
    const spanEnd = this.#position(entry + 1);
    const end = this.#firstEntry((i) => i > entry && this.#position(i) >= spanEnd + minBytes);
    return { position, length: this.#position(end) - position, nextOffset: this.#offset(end) };
  }

  /** The first entry for which a monotonic predicate holds; the number of entries if none. */
  #firstEntry(holds: (entry: number) => boolean): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  get #length(): number {
    return this.#view.byteLength / ENTRY_BYTES;
  }

  #offset(entry: number): number {
    if (entry >= this.#length) return this.#segment.nextOffset;
    return this.#segment.baseOffset + this.#view.getUint32(entry * ENTRY_BYTES);
  }

  #position(entry: number): number {
    return entry >= this.#length ? this.#segment.bytes : this.#view.getUint32(entry * ENTRY_BYTES + 4);
  }

  #maxTimestamp(entry: number): number {
    return this.#view.getFloat64(entry * ENTRY_BYTES + 8);
  }
}
