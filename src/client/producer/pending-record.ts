import type { NewRecord } from "../../log/record.ts";
import type { RecordMetadata } from "../record.ts";
import type { BufferMemory } from "./buffer-memory.ts";
import type { DeliveryTally } from "./delivery-tally.ts";

/** What a record is known by before it waits for room. */
export interface CheckedRecord {
  readonly topic: string;
  readonly record: NewRecord;
  /** The partition that the application named. */
  readonly partition: number | undefined;
  /** The most that it adds to a batch; what it takes of `bufferMemory`. */
  readonly bytes: number;
  /** `Date.now()` after which it has failed. */
  readonly deadlineMs: number;
}

/** What records hold while they are on their way. */
export interface Holdings {
  readonly memory: BufferMemory;
  readonly tally: DeliveryTally;
}

/** Who is told of a record's outcome. */
export interface Outcome {
  resolve(metadata: RecordMetadata): void;
  reject(reason: unknown): void;
}

/** A record from `send()` until its outcome is told. There may be hundreds of thousands: it has no closures of its own. */
export class PendingRecord {
  readonly checked: CheckedRecord;
  /** It has become part of a request: it cannot be withdrawn any more. */
  isSent = false;
  /** Its outcome is told; where it still waits, it is not sent. */
  isSettled = false;
  readonly #holdings: Holdings;
  readonly #outcome: Outcome;
  readonly #generation: number;
  #isAdmitted = false;

  constructor(checked: CheckedRecord, holdings: Holdings, outcome: Outcome) {
    this.checked = checked;
    this.#holdings = holdings;
    this.#outcome = outcome;
    this.#generation = holdings.tally.enter();
  }

  /** It holds its bytes of `bufferMemory` from now on. */
  admit(): void {
    this.#isAdmitted = true;
  }

  /** With acks 0: nobody waits for the outcome, but until there is one the record is held. */
  tell(metadata: RecordMetadata): void {
    this.#outcome.resolve(metadata);
  }

  resolve(metadata: RecordMetadata): void {
    if (this.#settle()) this.#outcome.resolve(metadata);
  }

  reject(reason: unknown): void {
    if (this.#settle()) this.#outcome.reject(reason);
  }

  #settle(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    const { memory, tally } = this.#holdings;
    if (this.#isAdmitted) memory.release(this.checked.bytes);
    tally.leave(this.#generation);
    return true;
  }
}
