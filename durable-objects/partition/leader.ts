/**
 * The leader of one partition: decides what may be appended, assigns offsets, answers reads.
 *
 * The log has two ends. *Assigned* is what has been given out, pending or not; the *log end* is what is written. Reads,
 * subscriptions and the cache know only the log end. What is written but not yet durable may be read, because the
 * platform's output gate holds every answer until it is.
 */

import {
  type BatchHeader,
  batchHeaders,
  stampBatch,
  stampLogAppendTime,
  validateBatch,
} from "../../src/log/batch-header.ts";
import { encodeMarker } from "../../src/log/control-batch.ts";
import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import type { PartitionIdentity } from "../../src/model/ids.ts";
import {
  LAG_POSITIONS_PER_CALL_MAX,
  PRODUCER_SNAPSHOT_INTERVAL_BATCHES,
  PRODUCER_SNAPSHOT_INTERVAL_FLUSHES,
  RETENTION_CHECK_MS,
} from "../../src/model/limits.ts";
import type { TopicConfigs } from "../../src/model/topic-configs.ts";
import { batchProblem, roomProblem } from "./append-rules.ts";
import { type AssignedBatch, CommitQueue } from "./commit-queue.ts";
import { LogStore } from "./log-store.ts";
import { PartitionTopic, type TopicSource } from "./partition-topic.ts";
import { PartitionTransactions, type TransactionSource } from "./partition-transactions.ts";
import { ProducerStates } from "./producer-states.ts";
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
import type { Clock, LogStorage } from "./storage.ts";
import type { TailCache } from "./tail-cache.ts";

/** What the leader needs of the world around it. */
export interface LeaderSurroundings extends TopicSource, TransactionSource {
  readonly storage: LogStorage;
  readonly clock: Clock;
  readonly tailCache: TailCache;
  /** Resolves when the events that have come until now have had their turn. */
  nextTurn(): Promise<void>;
  /** In the same turn as the write, as is the next. */
  logEndMoved(): void;
  logStartMoved(): void;
  /** Housekeeping has something to do at this time (ms). */
  housekeepingDue(atMs: number): void;
}

export class PartitionLeader {
  readonly identity: PartitionIdentity;
  readonly store: LogStore;
  readonly log: SegmentedLog;
  readonly #around: LeaderSurroundings;
  readonly #topic: PartitionTopic;
  readonly #queue: CommitQueue;
  readonly #producers = new ProducerStates();
  readonly #transactions: PartitionTransactions;
  /** Given out, written or not. */
  #assignedEnd = 0;
  #flushesSinceSnapshot = 0;
  #batchesSinceSnapshot = 0;

  constructor(identity: PartitionIdentity, around: LeaderSurroundings) {
    this.identity = identity;
    this.#around = around;
    this.store = new LogStore(around.storage);
    this.#topic = new PartitionTopic(identity, this.store, around);
    this.log = new SegmentedLog(this.store, identity, around.tailCache.tail());
    const { topicId, partition } = identity;
    this.#transactions = new PartitionTransactions(
      { topicId, partition },
      around.storage,
      this.#producers,
      around,
    );
    this.#queue = new CommitQueue(around.storage, around.nextTurn, (batches) => this.#write(batches));
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
    return this.#transactions.lastStableOffset(this.log.logStartOffset, this.log.logEndOffset);
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
    const refused = this.isOpen ? await this.#catchUp(request) : await this.open();
    if (refused !== undefined) return refused;
    const wrongEpoch = this.#epochProblem(request);
    if (wrongEpoch !== undefined) return wrongEpoch;
    const batch = request.batch;
    const header = validateBatch(batch);
    if (isFailure(header)) return header;
    if (header.isTransactional && !this.#producers.hasOpenTransaction(header)) {
      const outside = await this.#transactionProblem(header, request);
      if (outside !== undefined) return outside;
    }
    // From here to the queue everything happens in one turn: offsets are assigned in the order of arrival.
    const nowMs = this.#around.clock.now();
    const problem = batchProblem(header, this.configs, nowMs);
    if (problem !== undefined) return problem;
    const known = header.producerId < 0 ? undefined : this.#producers.check(header);
    // What the memory of an object that was replaced expects next is not what the log does.
    if (isFailure(known)) return this.confirmLeadership() ?? known;
    if (known !== undefined) {
      await this.#queue.written(known.baseOffset);
      return this.#appended(known.baseOffset, known.timestampMs);
    }
    const { localBytes } = this.log;
    const room = { localBytes, waitingBytes: this.#queue.unconfirmedBytes, assignedEnd: this.#assignedEnd };
    const noRoom = roomProblem(header, this.configs, room);
    if (noRoom !== undefined) return noRoom;

    const baseOffset = this.#assignedEnd;
    const stampsTime = this.configs.messageTimestampType === "LogAppendTime";
    if (stampsTime) stampLogAppendTime(batch, nowMs);
    stampBatch(batch, baseOffset, this.leaderEpoch);
    const maxTimestamp = stampsTime ? nowMs : header.maxTimestamp;
    const nextOffset = baseOffset + header.recordsCount;
    this.#assignedEnd = nextOffset;
    if (header.producerId >= 0) {
      const begins = this.#producers.update(header, baseOffset, maxTimestamp, nowMs);
      if (begins) this.#transactions.begin(baseOffset);
    }
    await this.#queue.add({ bytes: batch, baseOffset, nextOffset, maxTimestamp });
    return this.#appended(baseOffset, maxTimestamp);
  }

  /** Why a batch may not be the first of a transaction here. Others of its producer wait for the same answer. */
  async #transactionProblem(
    header: BatchHeader,
    { transaction }: AppendRequest,
  ): Promise<Failure | undefined> {
    if (transaction === undefined) {
      return failure("INVALID_TXN_STATE", "a transactional batch must come with its transactional id");
    }
    return (await this.#transactions.mayWrite(header, transaction)) ?? this.#topic.goneProblem();
  }

  /**
   * Ends a producer's transaction here. Written also where none is open, as in Kafka: what has been decided later than the
   * producer's last marker is new, and everything else a late copy.
   */
  async writeTransactionMarker(request: WriteTransactionMarkerRequest): Promise<Failure | null> {
    const refused = this.isOpen ? await this.#catchUp(request) : await this.open();
    if (refused !== undefined) return refused;
    const { producerId, producerEpoch, committed, decidedAtMs } = request;
    const problem =
      this.#epochProblem(request) ?? this.confirmLeadership() ?? this.#producers.markerProblem(request);
    if (problem !== undefined) return problem;
    if (this.#producers.markerAtMs(producerId) >= decidedAtMs) {
      // The marker itself may still wait to be written.
      this.#queue.flush();
      return null;
    }
    const bytes = encodeMarker({
      producerId,
      producerEpoch,
      type: committed ? "commit" : "abort",
      timestampMs: decidedAtMs,
    });
    const baseOffset = this.#assignedEnd;
    stampBatch(bytes, baseOffset, this.leaderEpoch);
    this.#assignedEnd = baseOffset + 1;
    const firstOffset = this.#producers.mark(request, this.#around.clock.now());
    const ends = firstOffset === undefined ? undefined : { producerId, firstOffset, committed };
    await this.#queue.add({ bytes, baseOffset, nextOffset: baseOffset + 1, maxTimestamp: -1, ends });
    return null;
  }

  #appended(baseOffset: number, timestampMs: number): AppendResult {
    return {
      baseOffset,
      logAppendTimeMs: this.configs.messageTimestampType === "LogAppendTime" ? timestampMs : -1,
      logStartOffset: this.log.logStartOffset,
    };
  }

  /** Called by the queue, synchronously; throwing throws the object away, and with it all that memory has run ahead. */
  #write(batches: readonly AssignedBatch[]): void {
    const nowMs = this.#around.clock.now();
    const begins = this.log.active?.bytes === 0;
    const rolled = this.#around.storage.transactionSync(() => {
      const didRoll = this.log.write(batches, this.configs, nowMs);
      for (const { ends, baseOffset } of batches) {
        if (ends !== undefined) this.#transactions.end(ends, baseOffset);
      }
      this.#flushesSinceSnapshot++;
      this.#batchesSinceSnapshot += batches.length;
      // The queue hands over all it has, so the producers' state is that of the log end after this write.
      const snapshotDue =
        this.#flushesSinceSnapshot >= PRODUCER_SNAPSHOT_INTERVAL_FLUSHES ||
        this.#batchesSinceSnapshot >= PRODUCER_SNAPSHOT_INTERVAL_BATCHES;
      if (didRoll || snapshotDue) this.#saveProducers(nowMs);
      return didRoll;
    });
    if (rolled) this.#around.housekeepingDue(nowMs);
    else if (begins) this.#around.housekeepingDue(this.#firstLookAtMs(nowMs));
    this.#around.logEndMoved();
  }

  /** When a segment that has its first records is old enough to roll or to expire. */
  #firstLookAtMs(nowMs: number): number {
    const { segmentMs, retentionMs } = this.configs;
    const newestMs = this.log.active?.maxTimestamp ?? -1;
    const expiresAtMs = (newestMs >= 0 ? newestMs : nowMs) + retentionMs;
    // Records may come with times that are over already, before newer ones that keep their segment.
    const expiryMs = expiresAtMs > nowMs ? expiresAtMs : nowMs + Math.min(retentionMs, RETENTION_CHECK_MS);
    return Math.min(nowMs + segmentMs, expiryMs);
  }

  #saveProducers(nowMs: number): void {
    this.#producers.expire(nowMs);
    this.store.saveProducers(this.log.logEndOffset, this.#producers.snapshot());
    this.#flushesSinceSnapshot = 0;
    this.#batchesSinceSnapshot = 0;
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
      isCommitted
        ? { abortedTransactions: this.#transactions.abortedBetween(request.offset, nextOffset) }
        : {};
    if (found instanceof Uint8Array) {
      return { kind: "local", batches: found, ...bounds, ...aborted(this.#endOf(found, request.offset)) };
    }
    return { kind: "remote", range: found.range, ...bounds, ...aborted(found.nextOffset) };
  }

  /** The offset after these batches, where that matters. */
  #endOf(batches: Uint8Array, fromOffset: number): number {
    let end = fromOffset;
    if (this.#transactions.anyAborted)
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
    return (await this.#prepareRead(request)) ?? this.#producers.list();
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
    this.#transactions.forgetBefore(this.log.logStartOffset);
    this.#around.logStartMoved();
  }

  /** Seals the active segment though it is not full. */
  roll(): void {
    // The producers' state, which is saved with a roll, is ahead of the log by the batches that wait.
    this.#queue.flush();
    const nowMs = this.#around.clock.now();
    this.#around.storage.transactionSync(() => {
      this.log.roll(nowMs);
      this.#saveProducers(nowMs);
    });
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
    this.#queue.flush();
    this.#topic.retire();
    this.log.forgetTail();
  }

  get isRetired(): boolean {
    return this.#topic.isGone;
  }

  #recover(): void {
    this.#topic.recover();
    this.log.recover();
    this.#assignedEnd = this.log.logEndOffset;
    const snapshot = this.store.loadProducers();
    this.#producers.restore(snapshot.chunks);
    const nowMs = this.#around.clock.now();
    const from = Math.max(snapshot.nextOffset, this.log.active?.baseOffset ?? 0);
    this.log.replayHeaders(from, (header) => {
      this.#batchesSinceSnapshot++;
      if (header.isControl) this.#producers.mark({ ...header, decidedAtMs: header.maxTimestamp }, nowMs);
      else if (header.producerId >= 0)
        this.#producers.update(header, header.baseOffset, header.maxTimestamp, nowMs);
    });
    this.#transactions.recover();
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
