/** Records as this code holds them: keys and values are bytes, times are ms since 1970, -1 where there is none. */

export interface RecordHeader {
  /** UTF-8 on the wire. Not unique: a record may carry a key several times, and their order counts. */
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A record as read. Its bytes are views into the batch (or into what the batch decompressed to): copy what you keep. */
export interface LogRecord {
  readonly offset: number;
  /** The producer's time, or the leader's if the batch is stamped LogAppendTime. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  /** `null` is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** Of its key, value and headers; keys of headers count their characters. */
export function recordSize({ key, value, headers }: LogRecord): number {
  let size = (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers) size += header.key.length + (header.value?.length ?? 0);
  return size;
}

/** Records one after another; an array is one. */
export interface RecordSequence {
  readonly length: number;
  at(index: number): NewRecord | undefined;
}

/** A record to be written. */
export interface NewRecord {
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
}
