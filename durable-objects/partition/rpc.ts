/**
 * What a partition's leader can be asked. Everything here crosses an RPC: plain values, bytes in buffers of their own
 * (a view would ship its whole backing buffer), refusals as {@link Failure} values.
 */

import type { AbortedTransaction } from "../../src/log/committed-batches.ts";
import type { Failure } from "../../src/model/errors.ts";
import type { Isolation } from "../../src/model/isolation.ts";
import type { RemoteRange } from "../../src/tier/segment-object.ts";
import type { TransactionOutcome } from "../transaction/rpc.ts";

/** Carried by every request. */
export interface PartitionRequest {
  /** The topic version that the caller knows; a leader that knows less asks the Controller. */
  readonly topicVersion: number;
  /** The leader epoch that the caller believes in (FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH); absent: not checked. */
  readonly leaderEpoch?: number;
}

export interface AppendRequest extends PartitionRequest {
  /** One whole record batch (magic 2) whose baseOffset is 0. */
  readonly batch: Uint8Array;
  /** Of a transactional batch. INVALID_TXN_STATE without it. */
  readonly transaction?: TransactionOfBatch;
}

export interface TransactionOfBatch {
  readonly transactionalId: string;
  /** True: the partition becomes part of the transaction (KIP-890; Produce from version 12 on); false: it must be. */
  readonly adds: boolean;
}

/** Kafka's WriteTxnMarkers for one partition: a transaction has ended. */
export interface WriteTransactionMarkerRequest extends PartitionRequest, TransactionOutcome {}

export interface AppendResult {
  /** Offset of the batch's first record. A duplicate of a stored batch gets the offset it was stored at. */
  readonly baseOffset: number;
  /** Leader's time in ms if the topic uses LogAppendTime, else -1. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
}

/** Where the log begins and ends, as of one answer; -1 where a refusal does not know. */
export interface LogBounds {
  /** First offset that is kept. */
  readonly logStartOffset: number;
  /** The offset after the last record: the log end. */
  readonly highWatermark: number;
  /** What a read_committed reader may see: no transaction is open before it (KIP-98). */
  readonly lastStableOffset: number;
  readonly leaderEpoch: number;
}

export interface ReadRequest extends PartitionRequest {
  readonly offset: number;
  /** Of batches; at least one batch is returned whatever its size; never more than READ_BYTES_MAX. */
  readonly maxBytes: number;
  /** Default read_uncommitted. read_committed: nothing from the last stable offset on, and what was aborted is told. */
  readonly isolation?: Isolation;
}

interface FoundRead extends LogBounds {
  /**
   * To a read_committed reader: the aborted transactions whose records may be among the batches, by first offset. Their
   * batches, and the markers, are among the batches all the same, as in Kafka.
   */
  readonly abortedTransactions?: readonly AbortedTransaction[];
}

/** Whole batches, the first of which contains the offset asked for. Empty at the log end. */
export interface LocalRead extends FoundRead {
  readonly kind: "local";
  readonly batches: Uint8Array;
}

/** The offset lies in R2: the caller reads the range itself, so cold bytes never pass through the leader. */
export interface RemoteRead extends FoundRead {
  readonly kind: "remote";
  readonly range: RemoteRange;
}

/** OFFSET_OUT_OF_RANGE tells the bounds. */
export type ReadFailure = Failure & Partial<LogBounds>;

export type ReadResult = LocalRead | RemoteRead | ReadFailure;

/** Kafka's special timestamps for ListOffsets (KIP-79, KIP-734, KIP-405, KIP-1005). */
export const LATEST_TIMESTAMP = -1;
export const EARLIEST_TIMESTAMP = -2;
export const MAX_TIMESTAMP = -3;
export const EARLIEST_LOCAL_TIMESTAMP = -4;
export const LATEST_TIERED_TIMESTAMP = -5;

export interface ListOffsetsRequest extends PartitionRequest {
  /** ms, or one of the special timestamps. */
  readonly timestamp: number;
  readonly isolation?: Isolation;
  /** Of a time: look no earlier, because what was found there held no such record. */
  readonly fromOffset?: number;
}

export type ListOffsetsResult =
  /** Known at once; -1, -1 where no record has such a timestamp. */
  | {
      readonly kind: "offset";
      readonly offset: number;
      readonly timestamp: number;
      readonly leaderEpoch: number;
    }
  /** The record is in this batch, if the batch's header is true and the record is not deleted; else it comes later. */
  | {
      readonly kind: "batch";
      readonly batch: Uint8Array;
      /** It may lie within the batch. */
      readonly logStartOffset: number;
      /** What to look for: the time asked for, or the log's largest for MAX_TIMESTAMP. */
      readonly timestampMs: number;
      readonly leaderEpoch: number;
    }
  /** Likewise, but the batch is the first of this range whose maxTimestamp is at least the one asked for. */
  | {
      readonly kind: "remote";
      readonly range: RemoteRange;
      /** The offset after the range. */
      readonly nextOffset: number;
      readonly timestampMs: number;
      readonly leaderEpoch: number;
    }
  | Failure;

export interface DeleteRecordsRequest extends PartitionRequest {
  /** Records before this offset go; -1: all up to the high watermark. */
  readonly beforeOffset: number;
}

export interface DeleteRecordsResult {
  readonly logStartOffset: number;
}

export interface OffsetForLeaderEpochRequest extends PartitionRequest {
  readonly epoch: number;
}

export interface OffsetForLeaderEpochResult {
  /** The largest epoch not above the one asked for, or -1. */
  readonly epoch: number;
  /** Where it ends, or -1. */
  readonly endOffset: number;
}

export interface PartitionDescription extends LogBounds {
  readonly localSegments: number;
  readonly localBytes: number;
  readonly remoteSegments: number;
  readonly remoteBytes: number;
  readonly subscribers: number;
  readonly earliestLocalOffset: number;
}

export interface LagRequest extends PartitionRequest {
  /** Of what is to be read next, each by another reader; at most LAG_POSITIONS_PER_CALL_MAX. */
  readonly positions: readonly number[];
}

/**
 * When what a reader has not read began: the time (ms) of the batch that holds its first record, -1 where that has none;
 * or where in R2 that batch is; null: all is read.
 */
export type OldestUnread = number | RemoteRange | null;

export interface LagAnswer extends LogBounds {
  /** One per position, in order. */
  readonly oldestUnread: readonly OldestUnread[];
}

export interface ActiveProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastSequence: number;
  readonly lastTimestampMs: number;
  readonly coordinatorEpoch: number;
  readonly currentTransactionStartOffset: number;
}

/** What the leader answers: called on its stub, or on a session. */
export interface LeaderRpc {
  append(request: AppendRequest): Promise<AppendResult | Failure>;
  read(request: ReadRequest): Promise<ReadResult>;
  listOffsets(request: ListOffsetsRequest): Promise<ListOffsetsResult>;
  deleteRecords(request: DeleteRecordsRequest): Promise<DeleteRecordsResult | Failure>;
  offsetForLeaderEpoch(request: OffsetForLeaderEpochRequest): Promise<OffsetForLeaderEpochResult | Failure>;
  describe(request: PartitionRequest): Promise<PartitionDescription | Failure>;
  /** INVALID_REQUEST: too many positions. */
  lag(request: LagRequest): Promise<LagAnswer | Failure>;
  activeProducers(request: PartitionRequest): Promise<ActiveProducer[] | Failure>;
  /** null: it is written, now or before. INVALID_PRODUCER_EPOCH: a newer epoch of the producer has written. */
  writeTransactionMarker(request: WriteTransactionMarkerRequest): Promise<Failure | null>;
}

/** The RPC methods of the Durable Object class `PartitionLog`. Its `fetch` takes WebSockets: see subscribe/. */
export interface PartitionRpc extends LeaderRpc {
  /** The same calls, all together billed as one request; keeps the object awake until it is disposed of. */
  session(): LeaderRpc;
  /** The Controller's: the topic changed. */
  configure(topicVersion: number): Promise<void>;
  /** The Controller's: the topic is deleted. Refuses everything from now on. */
  retire(): Promise<void>;
  /** The Controller's: the topic is deleted. Refuses everything and removes R2 objects and storage; true when nothing is left, else call again. */
  destroy(): Promise<boolean>;
}
