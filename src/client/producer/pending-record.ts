import type { NewRecord } from "../../log/record.ts";
import type { RecordMetadata } from "../record.ts";

/** A record from `send()` until its promise is settled. */
export interface PendingRecord {
  readonly topic: string;
  readonly record: NewRecord;
  /** The partition that the application named. */
  readonly partition: number | undefined;
  /** The most that it adds to a batch; what it takes of `bufferMemory`. */
  readonly bytes: number;
  /** `Date.now()` after which it has failed. */
  readonly deadlineMs: number;
  /** Set when the application gave it up while it still waited: it is not sent. */
  withdrawn: boolean;
  /** Set when it has become part of a request: it cannot be withdrawn any more. */
  sent: boolean;
  readonly resolve: (metadata: RecordMetadata) => void;
  readonly reject: (reason: unknown) => void;
}
