/**
 * What another Worker calls over a service binding to the entrypoint `Edgelog`: types only, so that a Worker that imports
 * them takes nothing else along. docs/service-binding.md has examples.
 *
 * Everything throws an error with {@link ServiceError}'s fields: `code` is Kafka's name, `retriable` says whether the same
 * call might succeed later.
 */

import type { LogRecord } from "../log/record.ts";
import type { RecordInput } from "../log/record-input.ts";
import type { ErrorName } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";

export interface EdgelogService {
  /**
   * Stores records; resolves when all of them are durable, with where each one is, in their order. Records with equal keys
   * go to the same partition, as the Java client decides; of one partition they are stored in this order. At most 100,000
   * records, of 16 MiB.
   *
   * A call that is wrong in itself (no such partition, a record larger than `max.message.bytes`, …) stores nothing. If only
   * some were stored, the error's `outcomes` say which. An exception that is none of ours (the cluster was restarted) leaves
   * open what was stored: call again with a `producer` and nothing is stored twice.
   */
  produce(
    topic: string,
    records: RecordInput | readonly RecordInput[],
    options?: ProduceOptions,
  ): Promise<StoredRecord[]>;

  /** A producer id of the caller's own, for {@link ProduceOptions.producer}. Kafka: InitProducerId. */
  initProducerId(): Promise<{ readonly producerId: number; readonly producerEpoch: number }>;

  /** Records of one partition from an offset on. At the log end there are none, unless it waits for them. */
  fetchRecords(topic: string, partition: number, options?: FetchRecordsOptions): Promise<FetchedRecords>;

  /** Records as they come. Dispose of it (`using`) when you are done, or it ends with the caller's own request. */
  subscribe(topic: string, options?: SubscribeOptions): Promise<ServiceSubscription>;
}

export interface StoredRecord {
  readonly partition: number;
  readonly offset: number;
}

export interface ProduceOptions {
  /** Of records that name none. Default: chosen by the key; those without a key go to one at random, all of them. */
  readonly partition?: number;
  /** Default none. */
  readonly compression?: "gzip" | "none" | "zstd";
  /**
   * Makes a call that is repeated harmless: `baseSequence` is how many records this producer has sent to the partition
   * before. Needs `partition`; the records must fit one batch. Kafka: `enable.idempotence`.
   */
  readonly producer?: {
    readonly producerId: number;
    readonly producerEpoch: number;
    readonly baseSequence: number;
  };
}

export interface FetchRecordsOptions {
  /** Default `"earliest"`. A timestamp in ms: the first record that is not older, the log end if there is none. */
  readonly from?: number | "earliest" | "latest" | { readonly timestamp: number };
  /** Of batches as they are stored; at least one record comes. Default 1 MiB, at most 8 MiB. Kafka: `fetch.max.bytes`. */
  readonly maxBytes?: number;
  /** Wait for so many bytes of batches, `maxWaitMs` at most. Default 1. Kafka: `fetch.min.bytes`. */
  readonly minBytes?: number;
  /** Default 0: do not wait. At most 60,000. Kafka: `fetch.max.wait.ms`. */
  readonly maxWaitMs?: number;
  /**
   * `"read_committed"`: no records of transactions that are open or aborted, and nothing behind the first open one. Default
   * `"read_uncommitted"`. Kafka: `isolation.level`.
   */
  readonly isolationLevel?: Isolation;
}

export interface FetchedRecords {
  readonly records: readonly LogRecord[];
  /** Where the next call begins. */
  readonly nextOffset: number;
  /** The offset after the last record of the log. */
  readonly highWatermark: number;
  /** The first offset that is kept. */
  readonly logStartOffset: number;
}

export interface SubscribeOptions {
  /**
   * Where to begin. Default `"latest"`. `offsets`: partition → offset, as {@link SubscribedRecords.next} told them;
   * partitions that it does not name begin at their first record.
   */
  readonly from?:
    | "earliest"
    | "latest"
    | { readonly offsets: Readonly<Record<number, number>> }
    | { readonly timestamp: number };
  /** Default: all that the topic has now, at most 1,000. */
  readonly partitions?: readonly number[];
  /** As {@link FetchRecordsOptions.isolationLevel}. */
  readonly isolationLevel?: Isolation;
}

export interface ServiceSubscription {
  /**
   * What comes next, of one partition; asking says that what came before is done with, and nothing much is read ahead of
   * that. `undefined` where nothing has come within `maxWaitMs` (default: waits for as long as it takes), or when the
   * subscription is over. One call at a time.
   */
  next(options?: { readonly maxWaitMs?: number }): Promise<SubscribedRecords | undefined>;
  [Symbol.dispose](): void;
}

export interface SubscribedRecords {
  readonly partition: number;
  /** In order; of one partition without gap or repeat from one call to the next. Seldom none. */
  readonly records: readonly LogRecord[];
  /** The position after them: where to subscribe again. */
  readonly next: number;
  /** The log end when they were read: `highWatermark - next` is the lag. */
  readonly highWatermark: number;
}

/** The fields of what is thrown; beside them `message`, which begins with the code. */
export interface ServiceError {
  readonly code: ErrorName;
  readonly retriable: boolean;
  /** Of `produce`, where some records were stored or may be: of each, in order. */
  readonly outcomes?: readonly (StoredRecord | { readonly error: ErrorName; readonly message: string })[];
  /** Of OFFSET_OUT_OF_RANGE. */
  readonly logStartOffset?: number;
  readonly highWatermark?: number;
}
