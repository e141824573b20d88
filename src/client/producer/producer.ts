import { encodedRecordBytes } from "../../log/batch.ts";
import { BATCH_HEADER_BYTES } from "../../log/batch-header.ts";
import { EdgelogError } from "../../model/errors.ts";
import { topicNameProblem } from "../../model/ids.ts";
import { isPartition } from "../../subscribe/position.ts";
import { type AbortSignalLike, onAbort, Stop } from "../abort.ts";
import { type OptionNames, requireKnown } from "../known-options.ts";
import { type ProducerRecord, type RecordMetadata, toNewRecord } from "../record.ts";
import { orAborted } from "../retry.ts";
import type { Transport } from "../transport.ts";
import { BufferMemory } from "./buffer-memory.ts";
import { DeliveryTally } from "./delivery-tally.ts";
import { type ProducerOptions, type ProducerSettings, producerSettings } from "./options.ts";
import type { Shipping } from "./partition-queue.ts";
import { type CheckedRecord, type Holdings, type Outcome, PendingRecord } from "./pending-record.ts";
import { Permits } from "./permits.ts";
import { ProducerIds } from "./producer-ids.ts";
import { TopicQueues } from "./topic-queues.ts";

export interface SendOptions {
  /** Gives the record up while it waits; once it is part of a request, the signal has no effect and the outcome is told. */
  readonly signal?: AbortSignalLike;
}

const SEND_OPTIONS: OptionNames<SendOptions> = { signal: true };

/**
 * Sends records in batches; made by `client.producer()`. Records of one partition are stored in the order of the `send()`
 * calls, each exactly once (see {@link ProducerOptions.idempotence}).
 *
 * @example
 * const producer = client.producer({ topic: "orders" });
 * const { partition, offset } = await producer.send({ key: "alice", value: JSON.stringify({ total: 12 }) });
 * await producer.close();
 */
export class Producer {
  readonly #settings: ProducerSettings;
  readonly #holdings: Holdings;
  readonly #queues = new Map<string, TopicQueues>();
  readonly #stop = new Stop();
  readonly #shipping: Shipping;
  #flushing = 0;
  #closed = false;

  /** @internal */
  constructor(transport: Transport, options: ProducerOptions) {
    const settings = producerSettings(options);
    this.#settings = settings;
    const memory = new BufferMemory(settings.bufferMemory, settings.maxBlockMs);
    this.#holdings = { memory, tally: new DeliveryTally() };
    this.#shipping = {
      settings,
      transport,
      producerIds: new ProducerIds(transport),
      permits: new Permits(settings.maxInFlight),
      stop: this.#stop,
      isFlushing: () => this.#flushing > 0,
    };
  }

  /** Bytes of records that were accepted and are not acknowledged yet. */
  get bufferedBytes(): number {
    return this.#holdings.memory.usedBytes;
  }

  /**
   * Sends a record, or several: resolves when all are durable, in the order given. Byte arrays are not copied: leave them
   * alone until then.
   *
   * Rejects with a {@link DeliveryError}, or where a record was never accepted with INVALID_RECORD, MESSAGE_TOO_LARGE,
   * INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION, or REQUEST_TIMED_OUT (no room within `maxBlockMs`). Of several
   * records, the first error rejects; the others go on.
   */
  send(record: ProducerRecord, options?: SendOptions): Promise<RecordMetadata>;
  send(records: readonly ProducerRecord[], options?: SendOptions): Promise<RecordMetadata[]>;
  send(
    records: ProducerRecord | readonly ProducerRecord[],
    options?: SendOptions,
  ): Promise<RecordMetadata | RecordMetadata[]> {
    if (options !== undefined) requireKnown(options, SEND_OPTIONS);
    const signal = options?.signal;
    if (isList(records)) return Promise.all(records.map((record) => this.#send(record, signal)));
    return this.#send(records, signal);
  }

  /**
   * Sends all that a source yields, no faster than the cluster takes it: whatever the source's size, at most `bufferMemory`
   * is held. Resolves with the number of records when all are durable; rejects at the first that fails, or when the signal
   * aborts, and reads no more; what it has taken by then is still delivered.
   */
  async sendAll(
    source: Iterable<ProducerRecord> | AsyncIterable<ProducerRecord>,
    options: SendOptions = {},
  ): Promise<number> {
    requireKnown(options, SEND_OPTIONS);
    const { signal } = options;
    let sent = 0;
    let failed: { readonly error: unknown } | undefined;
    let onRoom: (() => void) | undefined;
    const outcome: Outcome = {
      resolve: () => {},
      reject: (error) => {
        failed ??= { error };
        onRoom?.();
      },
    };
    const send = (record: ProducerRecord): void | Promise<void> => {
      signal?.throwIfAborted();
      const pending = new PendingRecord(this.#check(record), this.#holdings, outcome);
      if (this.#holdings.memory.tryAcquire(pending.checked.bytes)) return this.#admit(pending);
      return new Promise((resolve) => {
        onRoom = resolve;
        this.#waitForRoom(pending, signal, resolve);
      });
    };
    // A source that is at hand is read in one go, as far as there is room.
    if (Symbol.iterator in source) {
      for (const record of source) {
        const room = send(record);
        if (room !== undefined) await room;
        if (failed !== undefined) throw failed.error;
        sent += 1;
      }
    } else {
      for await (const record of source) {
        await send(record);
        if (failed !== undefined) throw failed.error;
        sent += 1;
      }
    }
    await this.flush(options);
    if (failed !== undefined) throw failed.error;
    return sent;
  }

  /**
   * Sends what waits without lingering; resolves when every record sent before is acknowledged or has failed (their own
   * promises say which).
   */
  async flush(options: SendOptions = {}): Promise<void> {
    this.#flushing += 1;
    for (const queues of this.#queues.values()) queues.stopLingering();
    try {
      await orAborted(this.#holdings.tally.settled(), options.signal);
    } finally {
      this.#flushing -= 1;
    }
  }

  /**
   * Flushes, and takes no more records. When the signal aborts first, what is left is given up: its promises reject.
   */
  async close(options: SendOptions = {}): Promise<void> {
    this.#closed = true;
    try {
      await this.flush(options);
    } catch {
      const reason = new EdgelogError(
        "REQUEST_TIMED_OUT",
        "the producer was closed before the record was acknowledged",
      );
      this.#stop.abort(reason);
      this.#holdings.memory.refuseAll(reason);
      await this.#holdings.tally.settled();
    }
  }

  /** For `await using producer = client.producer(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #send(record: ProducerRecord, signal: AbortSignalLike | undefined): Promise<RecordMetadata> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const outcome: Outcome = { resolve, reject };
      const pending = new PendingRecord(this.#check(record), this.#holdings, outcome);
      if (signal !== undefined) withdrawOnAbort(pending, outcome, signal);
      if (this.#holdings.memory.tryAcquire(pending.checked.bytes)) this.#admit(pending);
      else this.#waitForRoom(pending, signal);
    });
  }

  #waitForRoom(pending: PendingRecord, signal: AbortSignalLike | undefined, onRoom?: () => void): void {
    const leave = this.#holdings.memory.wait(
      pending.checked.bytes,
      () => {
        end();
        this.#admit(pending);
        onRoom?.();
      },
      (reason) => {
        end();
        pending.reject(reason);
      },
    );
    const end = onAbort(signal, () => {
      leave();
      pending.reject(signal?.reason);
    });
  }

  #admit(pending: PendingRecord): void {
    pending.admit();
    this.#queuesOf(pending.checked.topic).add(pending);
  }

  /** What there is to know of a record before it waits for room. Throws what is wrong with it. */
  #check(record: ProducerRecord): CheckedRecord {
    if (this.#closed) throw new EdgelogError("INVALID_REQUEST", "the producer is closed");
    const newRecord = toNewRecord(record);
    const { bufferMemory, deliveryTimeoutMs, maxRequestSize } = this.#settings;
    const { partition, topic = this.#settings.topic } = record;
    if (topic === undefined) {
      throw new EdgelogError(
        "INVALID_TOPIC_EXCEPTION",
        "name a topic in the record or in the producer's options",
      );
    }
    const problem = topicNameProblem(topic);
    if (problem !== undefined) throw new EdgelogError("INVALID_TOPIC_EXCEPTION", problem);
    if (partition !== undefined && !isPartition(partition)) {
      throw new EdgelogError(
        "UNKNOWN_TOPIC_OR_PARTITION",
        `partition must be a whole number from 0, not ${partition}`,
      );
    }
    const bytes = encodedRecordBytes(newRecord);
    const most = Math.min(maxRequestSize, bufferMemory) - BATCH_HEADER_BYTES;
    if (bytes > most) {
      throw new EdgelogError(
        "MESSAGE_TOO_LARGE",
        `the record has ${bytes} bytes; maxRequestSize (${maxRequestSize}) and bufferMemory (${bufferMemory}) allow ${most}`,
      );
    }
    return { topic, partition, record: newRecord, bytes, deadlineMs: Date.now() + deliveryTimeoutMs };
  }

  #queuesOf(topic: string): TopicQueues {
    let queues = this.#queues.get(topic);
    if (queues === undefined) {
      queues = new TopicQueues(topic, this.#shipping);
      this.#queues.set(topic, queues);
    }
    return queues;
  }
}

/** Until the outcome is told. A signal may live longer than many records. */
function withdrawOnAbort(pending: PendingRecord, outcome: Outcome, signal: AbortSignalLike): void {
  const { resolve, reject } = outcome;
  const end = onAbort(signal, () => {
    if (!pending.isSent) pending.reject(signal.reason);
  });
  outcome.resolve = (metadata) => {
    end();
    resolve(metadata);
  };
  outcome.reject = (reason) => {
    end();
    reject(reason);
  };
}

/** Array.isArray does not narrow a readonly array. */
function isList<T, O>(value: readonly T[] | O): value is readonly T[] {
  return Array.isArray(value);
}
