import { encodeBatch } from "../../log/batch.ts";
import { BATCH_HEADER_BYTES } from "../../log/batch-header.ts";
import { EdgelogError, type ErrorName } from "../../model/errors.ts";
import { RECORDS_PER_BATCH_MAX } from "../../model/limits.ts";
import type { AbortSignalLike } from "../abort.ts";
import { DeliveryError } from "../errors.ts";
import { backoffMs, isRetriable, pause } from "../retry.ts";
import { path, property, type Transport } from "../transport.ts";
import type { ProducerSettings } from "./options.ts";
import type { PendingRecord } from "./pending-record.ts";
import type { Permits } from "./permits.ts";
import { PartitionIdentity, type ProducerIds } from "./producer-ids.ts";

/** What the queues of a producer share. */
export interface Shipping {
  readonly settings: ProducerSettings;
  readonly transport: Transport;
  readonly producerIds: ProducerIds;
  /** Requests under way, over all partitions. */
  readonly permits: Permits;
  /** Aborts when the producer is closed without waiting. */
  readonly stop: AbortSignalLike;
  /** Somebody waits for all of it to be sent: nothing lingers. */
  isFlushing(): boolean;
}

interface Batch {
  readonly records: readonly PendingRecord[];
  /** What every try sends: the same bytes, so that the leader knows a batch that it has stored. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly deadlineMs: number;
  /** A try was lost without an answer: the batch may be stored. */
  mayBeStored: boolean;
}

/** After these a request's outcome is unknown; after any other the batch was refused. */
const OUTCOME_UNKNOWN: ReadonlySet<ErrorName> = new Set([
  "KAFKA_STORAGE_ERROR",
  "NETWORK_EXCEPTION",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "REQUEST_TIMED_OUT",
  "UNKNOWN_SERVER_ERROR",
]);

/**
 * The records on their way to one partition. One batch at a time is under way, and is sent again until it is acknowledged or
 * given up; only then the next one is cut. So retries never reorder, and batches grow as large as the traffic needs.
 */
export class PartitionQueue {
  readonly #topic: string;
  readonly #partition: number;
  readonly #shipping: Shipping;
  readonly #identity: PartitionIdentity | undefined;
  #waiting: PendingRecord[] = [];
  #waitingBytes = 0;
  #waitingSinceMs = 0;
  #underWayBytes = 0;
  #running = false;
  #endLinger: (() => void) | undefined;
  #batchBytesMax: number;

  constructor(topic: string, partition: number, shipping: Shipping) {
    this.#topic = topic;
    this.#partition = partition;
    this.#shipping = shipping;
    this.#batchBytesMax = shipping.settings.maxRequestSize;
    if (shipping.settings.idempotence) this.#identity = new PartitionIdentity(shipping.producerIds);
  }

  get queuedBytes(): number {
    return this.#waitingBytes + this.#underWayBytes;
  }

  /** `messageBytesMax`: the topic's `max.message.bytes`, as far as it is known. */
  add(pending: PendingRecord, messageBytesMax: number): void {
    this.#batchBytesMax = Math.min(this.#batchBytesMax, messageBytesMax);
    if (this.#waiting.length === 0) this.#waitingSinceMs = Date.now();
    this.#waiting.push(pending);
    this.#waitingBytes += pending.checked.bytes;
    if (this.#isFull()) this.#endLinger?.();
    if (!this.#running) void this.#run();
  }

  /** To be called when a flush begins. */
  stopLingering(): void {
    this.#endLinger?.();
  }

  #isFull(): boolean {
    return this.#waitingBytes + BATCH_HEADER_BYTES >= this.#shipping.settings.batchSize;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      await this.#linger();
      if (await this.#prepare()) await this.#deliver();
    }
    this.#running = false;
  }

  async #linger(): Promise<void> {
    const { settings, stop } = this.#shipping;
    const ms = this.#waitingSinceMs + settings.lingerMs - Date.now();
    if (ms <= 0 || this.#isFull() || this.#shipping.isFlushing() || stop.aborted) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#endLinger = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#endLinger = end;
    });
  }

  /** Gets a producer id where one is needed. Without one, what cannot wait longer is rejected. */
  async #prepare(): Promise<boolean> {
    const { settings, stop } = this.#shipping;
    const deadlineMs = this.#waiting[0]?.checked.deadlineMs ?? 0;
    try {
      stop.throwIfAborted();
      await this.#identity?.prepare({ ...this.#backoff, deadlineMs, signal: stop });
      return true;
    } catch (error) {
      const mayComeYet = isRetriable(error) && !stop.aborted;
      // Those whose time would be over with the next pause.
      const lastMs = mayComeYet ? Date.now() + 1.2 * settings.retryBackoffMaxMs : Number.POSITIVE_INFINITY;
      this.#rejectWaiting(lastMs, error);
      return false;
    }
  }

  async #deliver(): Promise<void> {
    const { permits } = this.#shipping;
    let batch: Batch | undefined;
    for (let tries = 1; ; tries += 1) {
      await permits.acquire();
      let failed: unknown;
      try {
        // Only now: while it waited for the permit, the batch has grown.
        if (batch === undefined && this.#shipping.stop.aborted) return;
        batch ??= this.#cut();
        if (batch === undefined) return;
        return this.#succeed(batch, await this.#post(batch));
      } catch (error) {
        failed = error;
      } finally {
        permits.release();
      }
      if (batch === undefined) return;
      if (this.#splits(batch, failed)) return;
      const waitMs = backoffMs(this.#backoff, tries);
      if (!this.#mayRetry(batch, failed, tries, waitMs)) return this.#giveUp(batch, failed);
      await pause(waitMs, this.#shipping.stop).catch(() => {});
    }
  }

  get #backoff() {
    const { retryBackoffMs, retryBackoffMaxMs } = this.#shipping.settings;
    return { firstMs: retryBackoffMs, maxMs: retryBackoffMaxMs };
  }

  /** The next batch: as much of what waits as one may hold. */
  #cut(): Batch | undefined {
    this.#rejectWaiting(Date.now());
    const records: PendingRecord[] = [];
    let bytes = BATCH_HEADER_BYTES;
    let taken = 0;
    for (const pending of this.#waiting) {
      const { isSettled, checked } = pending;
      if (!isSettled) {
        if (records.length > 0 && bytes + checked.bytes > this.#batchBytesMax) break;
        if (records.length === RECORDS_PER_BATCH_MAX) break;
        bytes += checked.bytes;
        pending.isSent = true;
        records.push(pending);
      }
      this.#waitingBytes -= checked.bytes;
      taken += 1;
    }
    this.#waiting.splice(0, taken);
    this.#waitingSinceMs = Date.now();
    const [first] = records;
    if (first === undefined) return undefined;
    this.#underWayBytes = bytes;
    const { compression, acks } = this.#shipping.settings;
    try {
      const encoded = encodeBatch(
        records.map(({ checked }) => checked.record),
        { compression, ...this.#identity?.fields },
      );
      if (acks === 0) for (const pending of records) pending.tell(this.#metadata(-1));
      return { records, bytes: ownBuffer(encoded), deadlineMs: first.checked.deadlineMs, mayBeStored: false };
    } catch (error) {
      this.#underWayBytes = 0;
      for (const pending of records) pending.reject(error);
      return undefined;
    }
  }

  /** Sends the batch once; resolves with its base offset. */
  async #post(batch: Batch): Promise<number> {
    const { settings, stop, transport } = this.#shipping;
    const answer = await transport.call({
      method: "POST",
      path: path`/v1/topics/${this.#topic}/records`,
      query: { partition: this.#partition },
      bytes: { data: batch.bytes, type: "application/vnd.kafka.recordbatch" },
      // One entry is enough: the other records follow the first.
      prefer: "return=minimal",
      timeoutMs: Math.max(1, Math.min(settings.requestTimeoutMs, batch.deadlineMs - Date.now())),
      signal: stop,
    });
    return baseOffsetOf(answer);
  }

  #succeed({ records }: Batch, baseOffset: number): void {
    this.#underWayBytes = 0;
    this.#identity?.advance(records.length);
    records.forEach((pending, index) => {
      pending.resolve(this.#metadata(baseOffset + index));
    });
  }

  /** A batch that is larger than the topic takes goes back, to be cut into smaller ones; it was refused, so its sequences are free. */
  #splits(batch: Batch, error: unknown): boolean {
    const { records } = batch;
    if (!(error instanceof EdgelogError) || error.code !== "MESSAGE_TOO_LARGE") return false;
    if (records.length === 1 || batch.mayBeStored) return false;
    this.#batchBytesMax = Math.ceil(this.#underWayBytes / 2);
    this.#waiting = [...records, ...this.#waiting];
    this.#waitingBytes += this.#underWayBytes - BATCH_HEADER_BYTES;
    this.#underWayBytes = 0;
    return true;
  }

  #mayRetry(batch: Batch, error: unknown, tries: number, waitMs: number): boolean {
    const { settings, stop } = this.#shipping;
    if (!(error instanceof EdgelogError) || OUTCOME_UNKNOWN.has(error.code)) batch.mayBeStored = true;
    if (stop.aborted || settings.acks === 0 || !isRetriable(error)) return false;
    return tries <= settings.retries && Date.now() + waitMs < batch.deadlineMs;
  }

  #giveUp(batch: Batch, error: unknown): void {
    this.#underWayBytes = 0;
    const code = error instanceof EdgelogError ? error.code : "REQUEST_TIMED_OUT";
    if (code === "INVALID_PRODUCER_EPOCH") this.#identity?.startAnew();
    else this.#identity?.startNextEpoch();
    const failed = new DeliveryError(
      code,
      `${this.#topic}/${this.#partition}: ${messageOf(error)}` +
        (isRetriable(error) ? "; no retry is left within retries and deliveryTimeoutMs" : "") +
        (batch.mayBeStored ? "; the record may have been stored" : ""),
      batch.mayBeStored,
      { cause: error },
    );
    for (const pending of batch.records) pending.reject(failed);
  }

  /** Rejects what has waited beyond its deadline, as of `nowMs`, and was never sent. */
  #rejectWaiting(nowMs: number, cause?: unknown): void {
    const index = this.#waiting.findIndex(({ checked }) => checked.deadlineMs > nowMs);
    const expired = this.#waiting.splice(0, index === -1 ? this.#waiting.length : index);
    if (expired.length === 0) return;
    const code = cause instanceof EdgelogError ? cause.code : "REQUEST_TIMED_OUT";
    const why = cause === undefined ? "deliveryTimeoutMs passed" : messageOf(cause);
    const failed = new DeliveryError(
      code,
      `${this.#topic}/${this.#partition}: ${why}; the record was not sent`,
      false,
      { cause },
    );
    for (const pending of expired) {
      this.#waitingBytes -= pending.checked.bytes;
      pending.reject(failed);
    }
  }

  #metadata(offset: number) {
    return { topic: this.#topic, partition: this.#partition, offset };
  }
}

/** Of `{"records":[{"partition","offset"}, …]}`. An answer that names none counts as lost: the batch is asked about again. */
function baseOffsetOf(answer: unknown): number {
  const records = property(answer, "records");
  const offset = property(Array.isArray(records) ? records[0] : undefined, "offset");
  if (typeof offset === "number" && Number.isSafeInteger(offset)) return offset;
  throw new EdgelogError("NETWORK_EXCEPTION", "the answer to the batch names no offset");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What fetch takes as a body. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
}
