import type { NewRecord, RecordSequence } from "./record.ts";
import { readRecordData, recordDataBytes, writeRecordData } from "./record-data.ts";
import { VarintReader } from "./varint.ts";

const PIECE_BYTES = { least: 1_024, most: 64 * 1024 };
/** What is noted of each record beside its data: its time, its partition and its place. */
const NOTED_BYTES = 32;

/**
 * Records that wait to be put into batches, in hardly more memory than their data: as objects, small ones take half a
 * kilobyte each. What is taken out are views, made anew each time.
 */
export class PackedRecords implements RecordSequence {
  readonly #pieces: Uint8Array[] = [];
  /** Of the last piece. */
  #used = 0;
  readonly #timestamps: number[] = [];
  readonly #partitions: number[] = [];
  readonly #pieceOf: number[] = [];
  readonly #positions: number[] = [];
  #bytes = 0;

  get length(): number {
    return this.#timestamps.length;
  }

  /** What they take in memory. */
  get bytes(): number {
    return this.#bytes + NOTED_BYTES * this.length;
  }

  /** Throws INVALID_RECORD for too many headers. */
  push(record: NewRecord, partition: number | undefined): void {
    const size = recordDataBytes(record);
    const piece = this.#pieceWith(size);
    this.#timestamps.push(record.timestamp);
    this.#partitions.push(partition ?? -1);
    this.#pieceOf.push(this.#pieces.length - 1);
    this.#positions.push(this.#used);
    this.#used = writeRecordData(piece, this.#used, record);
  }

  at(index: number): NewRecord | undefined {
    const timestamp = this.#timestamps[index];
    const piece = this.#pieces[this.#pieceOf[index] ?? -1];
    if (timestamp === undefined || piece === undefined) return undefined;
    const reader = new VarintReader(piece, this.#positions[index]);
    return { timestamp, ...readRecordData(reader, piece.length) };
  }

  /** As it was asked for; undefined: by its key. */
  partition(index: number): number | undefined {
    const partition = this.#partitions[index] ?? -1;
    return partition === -1 ? undefined : partition;
  }

  /** Only these, in this order. */
  pick(indexes: readonly number[]): RecordSequence {
    return { length: indexes.length, at: (nth) => this.at(indexes[nth] ?? -1) };
  }

  #pieceWith(size: number): Uint8Array {
    const last = this.#pieces.at(-1);
    if (last !== undefined && this.#used + size <= last.length) return last;
    const wanted = Math.max(Math.min(this.#bytes, PIECE_BYTES.most), PIECE_BYTES.least);
    const piece = new Uint8Array(Math.max(size, wanted));
    this.#pieces.push(piece);
    this.#used = 0;
    this.#bytes += piece.length;
    return piece;
  }
}
