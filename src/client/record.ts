/** Records as applications see them: what goes in, and what comes out. */

import type { LogRecord, RecordHeader } from "../log/record.ts";
import type { RecordInput } from "../log/record-input.ts";

export type { Data } from "../log/record-input.ts";
export { toNewRecord } from "../log/record-input.ts";

/** A record to produce. */
export interface ProducerRecord extends RecordInput {
  /** Absent: the producer's `topic`. */
  readonly topic?: string;
}

/** Where a record was stored. */
export interface RecordMetadata {
  readonly topic: string;
  /** 0-based. */
  readonly partition: number;
  /** -1 with `acks: 0`, where nobody says. */
  readonly offset: number;
}

/** A record as consumed. */
export class ConsumedRecord implements LogRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970: the producer's time, or the leader's where the topic has `message.timestamp.type=LogAppendTime`. */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];

  constructor(topic: string, partition: number, record: LogRecord) {
    this.topic = topic;
    this.partition = partition;
    this.offset = record.offset;
    this.timestamp = record.timestamp;
    this.key = record.key;
    this.value = record.value;
    this.headers = record.headers;
  }

  /** The value as UTF-8 text; null for a tombstone. */
  text(): string | null {
    return textOf(this.value);
  }

  /** The key as UTF-8 text. */
  keyText(): string | null {
    return textOf(this.key);
  }

  /** The value parsed as JSON; null for a tombstone. Throws SyntaxError where it is not JSON. */
  json(): unknown {
    const text = this.text();
    return text === null ? null : JSON.parse(text);
  }

  /** The last header of that name, as UTF-8 text; undefined where there is none. */
  header(name: string): string | null | undefined {
    const header = this.headers.findLast(({ key }) => key === name);
    return header && textOf(header.value);
  }
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : decoder.decode(bytes);
}

// A byte order mark is data like any other.
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
