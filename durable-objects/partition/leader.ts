/**
 * The leader of one partition: answers reads and whatever else it is asked, and says whether it still is the leader. How
 * batches get into the log is told in appends.ts.
 *
 * The log has two ends. *Assigned* is what has been given out, pending or not; the *log end* is what is written. Reads,
 * subscriptions and the cache know only the log end. What is written but not yet durable may be read, because the
 * platform's output gate holds every answer until it is.
 */

import { batchHeaders } from "../../src/log/batch-header.ts";
import type { AbortedTransaction } from "../../src/log/committed-batches.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import type { PartitionIdentity } from "../../src/model/ids.ts";
import { LAG_POSITIONS_PER_CALL_MAX } from "../../src/model/limits.ts";
import type { TopicConfigs } from "../../src/model/topic-configs.ts";
import { type AppendSurroundings, Appends } from "./appends.ts";
import { LogStore } from "./log-store.ts";
import { PartitionTopic, type TopicSource } from "./partition-topic.ts";
import {
  type ActiveProducer,
  type AppendRequest,
  type AppendResult,
  type DeleteRecordsRequest,
  type DeleteRecordsResult,
  EARLIEST_LOCAL_TIMESTAMP,
  EARLIEST_TIMESTAMP,
  LATEST_TIERED_TIMESTAMP,
  LATEST_TIMESTAMP,
  type LagAnswer,
  type LagRequest,
  type ListOffsetsRequest,
  type ListOffsetsResult,
  type LogBounds,
  MAX_TIMESTAMP,
  type OffsetForLeaderEpochRequest,
  type OffsetForLeaderEpochResult,
  type PartitionDescription,
  type PartitionRequest,
  type ReadRequest,
  type ReadResult,
  type WriteTransactionMarkerRequest,
} from "./rpc.ts";
import { SegmentedLog } from "./segmented-log.ts";
import type { TailCache } from "./tail-cache.ts";

/** What the leader needs of the world around it. */
export interface LeaderSurroundings
  extends TopicSource,
    Omit<AppendSurroundings, "configs" | "goneProblem" | "confirmLeadership"> {
  readonly tailCache: TailCache;
  /** In the same turn as the write. */
  logStartMoved(): void;
}

export class PartitionLeader {
  readonly identity: PartitionIdentity;
  readonly store: LogStore;
  readonly log: SegmentedLog;
  readonly #around: LeaderSurroundings;
  readonly #topic: PartitionTopic;
  readonly #appends: Appends;

  constructor(identity: PartitionIdentity, around: LeaderSurroundings) {
    this.identity = identity;
    this.#around = around;
    this.store = new LogStore(around.storage);
    this.#topic = new PartitionTopic(identity, this.store, around);
    this.log = new SegmentedLog(this.store, identity, around.tailCache.tail());
    this.#appends = new Appends(identity, this.log, this.store, {
      ...around,
      configs: () => this.#topic.configs,
      goneProblem: () => this.#topic.goneProblem(),
      confirmLeadership: () => this.confirmLeadership(),
    });
    if (this.store.exists()) this.#recover();
  }

  /** False until the first append, and again when the topic is deleted. */
  get isOpen(): boolean {
    return this.#topic.isOpen;
  }

  get configs(): TopicConfigs {
    return this.#topic.configs;
  }

  get leaderEpoch(): number {
    return this.identity.placement;
  }

  get lastStableOffset(): number {
    return this.#appends.transactions.lastStableOffset(this.log.logStartOffset, this.log.logEndOffset);
  }

  bounds(): LogBounds {
    return {
      logStartOffset: this.log.logStartOffset,
      highWatermark: this.log.logEndOffset,
      lastStableOffset: this.lastStableOffset,
      leaderEpoch: this.leaderEpoch,
    };
  }

  // ── appending ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async append(request: AppendRequest): Promise<AppendResult | Failure> {
    return (await this.#prepareWrite(request)) ?? this.#appends.append(request);
  }

  async writeTransactionMarker(request: WriteTransactionMarkerRequest): Promise<Failure | null> {
    return (await this.#prepareWrite(request)) ?? this.#appends.writeMarker(request);
  }

  /** Seals the active segment though it is not full. */
  roll(): void {
    this.#appends.roll();
  }

  // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async read(request: ReadRequest): Promise<ReadResult> {
    const refused = await this.#prepareRead(request);
    if (refused !== undefined) return refused;
    const bounds = this.bounds();
    const isCommitted = request.isolation === "read_committed";
    const beforeOffset = isCommitted ? bounds.lastStableOffset : bounds.highWatermark;
    const found = this.log.read(request.offset, request.maxBytes, beforeOffset);
    if (found === "out_of_range") {
      return {
        ...failure(
          "OFFSET_OUT_OF_RANGE",
          `offset ${request.offset} lies outside the log, which has offsets ${bounds.logStartOffset} to ${bounds.highWatermark}`,
        ),
        ...bounds,
      };
    }
    const aborted = (nextOffset: number) =>
      isCommitted ? { abortedTransactions: this.abortedBetween(request.offset, nextOffset) } : {};
    if (found instanceof Uint8Array) {
      return { kind: "local", batches: found, ...bounds, ...aborted(this.#endOf(found, request.offset)) };
    }
    return { kind: "remote", range: found.range, ...bounds, ...aborted(found.nextOffset) };
  }

  /** Aborted transactions whose records may be between these offsets, by first offset. */
  abortedBetween(from: number, to: number): AbortedTransaction[] {
    return this.#appends.transactions.abortedBetween(from, to);
  }

  /** The offset after these batches, where that matters. */
  #endOf(batches: Uint8Array, fromOffset: number): number {
    let end = fromOffset;
    if (this.#appends.transactions.anyAborted)
      for (const { header } of batchHeaders(batches)) end = header.nextOffset;
    return end;
  }

  async listOffsets(request: ListOffsetsRequest): Promise<ListOffsetsResult> {
    const refused = await this.#prepareRead(request);
    if (refused !== undefined) return refused;
    const leaderEpoch = this.leaderEpoch;
    const at = (offset: number, timestamp = -1) => ({
      kind: "offset" as const,
      offset,
      timestamp,
      leaderEpoch,
    });
    const end = request.isolation === "read_committed" ? this.lastStableOffset : this.log.logEndOffset;
    switch (request.timestamp) {
      case LATEST_TIMESTAMP:
        return at(end);
      case EARLIEST_TIMESTAMP:
        return at(this.log.logStartOffset);
      case EARLIEST_LOCAL_TIMESTAMP:
        return at(this.log.earliestLocalOffset());
      case LATEST_TIERED_TIMESTAMP: {
        const tieredEnd = this.isOpen ? this.store.tieredEnd() : undefined;
        return at(tieredEnd === undefined ? -1 : tieredEnd - 1);
      }
    }
    if (!this.isOpen) return at(-1);
    const timestampMs = request.timestamp === MAX_TIMESTAMP ? this.log.maxTimestamp() : request.timestamp;
    if (timestampMs < 0) return at(-1);
    const found = this.log.findTimestamp(timestampMs, request.fromOffset, end);
    if (found.kind === "none") return at(-1);
    return found.kind === "batch"
      ? { ...found, logStartOffset: this.log.logStartOffset, timestampMs, leaderEpoch }
      : { ...found, timestampMs, leaderEpoch };
  }

  async offsetForLeaderEpoch(
    request: OffsetForLeaderEpochRequest,
  ): Promise<OffsetForLeaderEpochResult | Failure> {
    const refused = await this.#prepareRead(request);
    if (refused !== undefined) return refused;
    const epochs = this.isOpen ? this.store.leaderEpochs() : [{ epoch: this.leaderEpoch, startOffset: 0 }];
    const index = epochs.findLastIndex(({ epoch }) => epoch <= request.epoch);
    const found = epochs[index];
    if (found === undefined || request.epoch > this.leaderEpoch) return { epoch: -1, endOffset: -1 };
    return { epoch: found.epoch, endOffset: epochs[index + 1]?.startOffset ?? this.log.logEndOffset };
  }

  async describe(request: PartitionRequest): Promise<PartitionDescription | Failure> {
    const refused = await this.#prepareRead(request);
    if (refused !== undefined) return refused;
    const none = { segments: 0, bytes: 0 };
    const local = this.isOpen ? this.store.localTotals() : none;
    const remote = this.isOpen ? this.store.remoteTotals() : none;
    return {
      ...this.bounds(),
      localSegments: local.segments + (this.log.active === undefined ? 0 : 1),
      localBytes: this.log.localBytes,
      remoteSegments: remote.segments,
      remoteBytes: remote.bytes,
      earliestLocalOffset: this.log.earliestLocalOffset(),
      subscribers: 0,
    };
  }

  async lag(request: LagRequest): Promise<LagAnswer | Failure> {
    const refused = await this.#prepareRead(request);
    if (refused !== undefined) return refused;
    const { positions } = request;
    if (positions.length > LAG_POSITIONS_PER_CALL_MAX) {
      return failure(
        "INVALID_REQUEST",
        `${positions.length} positions; at most ${LAG_POSITIONS_PER_CALL_MAX} are answered at once`,
      );
    }
    return { ...this.bounds(), oldestUnread: positions.map((position) => this.log.timeAt(position)) };
  }

  async activeProducers(request: PartitionRequest): Promise<ActiveProducer[] | Failure> {
    return (await this.#prepareRead(request)) ?? this.#appends.producers.list();
  }

  // ── deleting ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async deleteRecords(request: DeleteRecordsRequest): Promise<DeleteRecordsResult | Failure> {
    const refused = await this.#prepareRead(request);
    if (refused !== undefined) return refused;
    const end = this.log.logEndOffset;
    const offset = request.beforeOffset === -1 ? end : request.beforeOffset;
    if (offset < 0 || offset > end) {
      return failure("OFFSET_OUT_OF_RANGE", `offset ${offset} lies outside the log, which ends at ${end}`);
    }
    if (offset > this.log.logStartOffset) {
      this.log.setLogStart(offset);
      this.logStartMoved();
      this.#around.housekeepingDue(this.#around.clock.now());
    }
    return { logStartOffset: this.log.logStartOffset };
  }

  /** To be called after the log start has moved, in the same turn. */
  logStartMoved(): void {
    this.#appends.transactions.forgetBefore(this.log.logStartOffset);
    this.#around.logStartMoved();
  }

  // ── the topic ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The topic has changed. */
  async refreshTopic(version: number): Promise<void> {
    if (await this.#topic.refresh(version)) this.#around.housekeepingDue(this.#around.clock.now());
  }

  /** Registers a blank partition with the Controller and makes its tables; UNKNOWN_TOPIC_ID: the topic is gone. */
  open(): Promise<Failure | undefined> {
    return this.#topic.open((keepTopic) => {
      const nowMs = this.#around.clock.now();
      this.#around.storage.transactionSync(() => {
        this.store.create();
        this.store.addLeaderEpoch(this.leaderEpoch, 0);
        this.log.begin(nowMs);
        keepTopic();
      });
    });
  }

  /** From now on every request is refused: the topic is deleted. */
  retire(): void {
    // Nothing is written, and acknowledged, behind the word that the topic is deleted.
    this.#appends.flush();
    this.#topic.retire();
    this.log.forgetTail();
  }

  get isRetired(): boolean {
    return this.#topic.isGone;
  }

  #recover(): void {
    this.#topic.recover();
    this.log.recover();
    this.#appends.recover();
  }

  async #prepareWrite(request: PartitionRequest): Promise<Failure | undefined> {
    const refused = this.isOpen ? await this.#catchUp(request) : await this.open();
    return refused ?? this.#epochProblem(request);
  }

  async #catchUp(request: PartitionRequest): Promise<Failure | undefined> {
    if (this.#topic.isBehind(request.topicVersion)) await this.refreshTopic(request.topicVersion);
    return this.#topic.goneProblem();
  }

  async #prepareRead(request: PartitionRequest): Promise<Failure | undefined> {
    return (await this.#catchUp(request)) ?? this.#epochProblem(request) ?? this.confirmLeadership();
  }

  /** For whoever is about to say where the log ends: an object that the platform has replaced must not. */
  confirmLeadership(): Failure | undefined {
    if (this.isOpen && !this.isRetired) this.store.confirmUniqueness();
    // Storage is asked here, too: who has replaced this object may have written since.
    if (!this.isOpen && this.store.exists())
      throw new Error("the partition has been opened by another object");
    return this.#topic.goneProblem();
  }

  #epochProblem({ leaderEpoch }: PartitionRequest): Failure | undefined {
    if (leaderEpoch === undefined || leaderEpoch === -1 || leaderEpoch === this.leaderEpoch) return undefined;
    return leaderEpoch < this.leaderEpoch
      ? failure(
          "FENCED_LEADER_EPOCH",
          `leader epoch ${leaderEpoch} has ended; the partition is at ${this.leaderEpoch}`,
        )
      : failure(
          "UNKNOWN_LEADER_EPOCH",
          `leader epoch ${leaderEpoch} has not begun; the partition is at ${this.leaderEpoch}`,
        );
  }
}
