/**
 * The way of a batch into the log: checked, given its offset, gathered with others, written. Offsets are given out in the
 * order of arrival; *assigned* is what has been given out, written or not.
 */

import {
  type BatchHeader,
  stampBatch,
  stampLogAppendTime,
  validateBatch,
} from "../../src/log/batch-header.ts";
import { encodeMarker } from "../../src/log/control-batch.ts";
import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import type { PartitionIdentity } from "../../src/model/ids.ts";
import {
  PRODUCER_SNAPSHOT_INTERVAL_BATCHES,
  PRODUCER_SNAPSHOT_INTERVAL_FLUSHES,
  RETENTION_CHECK_MS,
} from "../../src/model/limits.ts";
import type { TopicConfigs } from "../../src/model/topic-configs.ts";
import type { JoinedTransaction } from "../transaction/rpc.ts";
import { batchProblem, roomProblem, waitingProblem } from "./append-rules.ts";
import { type AssignedBatch, CommitQueue } from "./commit-queue.ts";
import type { LogStore } from "./log-store.ts";
import { PartitionTransactions, type TransactionSource } from "./partition-transactions.ts";
import { ProducerStates } from "./producer-states.ts";
import type { AppendRequest, AppendResult, WriteTransactionMarkerRequest } from "./rpc.ts";
import type { SegmentedLog } from "./segmented-log.ts";
import type { Clock, LogStorage } from "./storage.ts";

/** What appending needs of the leader and of the world around it. */
export interface AppendSurroundings extends TransactionSource {
  readonly storage: LogStorage;
  readonly clock: Clock;
  /** Resolves when the events that have come until now have had their turn. */
  nextTurn(): Promise<void>;
  /** In the same turn as the write. */
  logEndMoved(): void;
  /** Housekeeping has something to do at this time (ms). */
  housekeepingDue(atMs: number): void;
  configs(): TopicConfigs;
  /** The topic is deleted. */
  goneProblem(): Failure | undefined;
  /** For whoever is about to say where the log ends, or what a producer has written. */
  confirmLeadership(): Failure | undefined;
}

export class Appends {
  readonly producers = new ProducerStates();
  readonly transactions: PartitionTransactions;
  readonly #leaderEpoch: number;
  readonly #log: SegmentedLog;
  readonly #store: LogStore;
  readonly #around: AppendSurroundings;
  readonly #queue: CommitQueue;
  #assignedEnd = 0;
  /** Of batches whose transaction's coordinator is being asked. */
  #joiningBytes = 0;
  #flushesSinceSnapshot = 0;
  #batchesSinceSnapshot = 0;

  constructor(
    { topicId, partition, placement }: PartitionIdentity,
    log: SegmentedLog,
    store: LogStore,
    around: AppendSurroundings,
  ) {
    this.#leaderEpoch = placement;
    this.#log = log;
    this.#store = store;
    this.#around = around;
    const { storage, nextTurn } = around;
    this.transactions = new PartitionTransactions({ topicId, partition }, storage, this.producers, around);
    this.#queue = new CommitQueue(storage, nextTurn, (batches) => this.#write(batches));
  }

  /** To be called when the log has been read back: what producers have written since their last snapshot. */
  recover(): void {
    this.#assignedEnd = this.#log.logEndOffset;
    const snapshot = this.#store.loadProducers();
    this.producers.restore(snapshot.chunks);
    const nowMs = this.#around.clock.now();
    const from = Math.max(snapshot.nextOffset, this.#log.active?.baseOffset ?? 0);
    this.#log.replayHeaders(from, (header) => {
      this.#batchesSinceSnapshot++;
      if (header.isControl) this.producers.mark({ ...header, decidedAtMs: header.maxTimestamp }, nowMs);
      else if (header.producerId >= 0)
        this.producers.update(header, header.baseOffset, header.maxTimestamp, nowMs);
    });
    this.transactions.recover();
  }

  /** Writes at once whatever waits. */
  flush(): void {
    this.#queue.flush();
  }

  async append(request: AppendRequest): Promise<AppendResult | Failure> {
    const batch = request.batch;
    const header = validateBatch(batch);
    if (isFailure(header)) return header;
    const begins = header.isTransactional && !this.producers.hasOpenTransaction(header);
    const joined = begins ? await this.#join(header, request) : undefined;
    if (isFailure(joined)) return joined;
    // From here to the queue everything happens in one turn: offsets are assigned in the order of arrival.
    const outside = joined === undefined ? undefined : this.#joinedProblem(header, joined);
    if (outside !== undefined) return outside;
    const nowMs = this.#around.clock.now();
    const configs = this.#around.configs();
    const problem = batchProblem(header, configs, nowMs);
    if (problem !== undefined) return problem;
    const known = header.producerId < 0 ? undefined : this.producers.check(header);
    // What the memory of an object that was replaced expects next is not what the log does.
    if (isFailure(known)) return this.#around.confirmLeadership() ?? known;
    if (known !== undefined) {
      await this.#queue.written(known.baseOffset);
      return this.#appended(known.baseOffset, known.timestampMs);
    }
    const { localBytes } = this.#log;
    const room = { localBytes, waitingBytes: this.#waitingBytes, assignedEnd: this.#assignedEnd };
    const noRoom = roomProblem(header, configs, room);
    if (noRoom !== undefined) return noRoom;

    const baseOffset = this.#assignedEnd;
    const stampsTime = configs.messageTimestampType === "LogAppendTime";
    if (stampsTime) stampLogAppendTime(batch, nowMs);
    stampBatch(batch, baseOffset, this.#leaderEpoch);
    const maxTimestamp = stampsTime ? nowMs : header.maxTimestamp;
    const nextOffset = baseOffset + header.recordsCount;
    this.#assignedEnd = nextOffset;
    if (header.producerId >= 0) {
      const isFirst = this.producers.update(header, baseOffset, maxTimestamp, nowMs);
      if (isFirst) this.transactions.begin(baseOffset);
    }
    await this.#queue.add({ bytes: batch, baseOffset, nextOffset, maxTimestamp });
    return this.#appended(baseOffset, maxTimestamp);
  }

  /** Asks for a batch that would be the first of a transaction here. Others of its producer wait for the same answer. */
  async #join(header: BatchHeader, { transaction }: AppendRequest): Promise<JoinedTransaction | Failure> {
    if (transaction === undefined) {
      return failure("INVALID_TXN_STATE", "a transactional batch must come with its transactional id");
    }
    const noRoom = waitingProblem(header, this.#waitingBytes);
    if (noRoom !== undefined) return noRoom;
    this.#joiningBytes += header.sizeInBytes;
    try {
      return await this.transactions.join(header, transaction);
    } finally {
      this.#joiningBytes -= header.sizeInBytes;
    }
  }

  /** Of batches that are not durable yet, or wait to be taken. */
  get #waitingBytes(): number {
    return this.#queue.unconfirmedBytes + this.#joiningBytes;
  }

  /** What has happened here while the coordinator was asked. */
  #joinedProblem(header: BatchHeader, joined: JoinedTransaction): Failure | undefined {
    return this.transactions.endedProblem(header, joined) ?? this.#around.goneProblem();
  }

  /**
   * Ends a producer's transaction here. Written also where none is open, as in Kafka: what has been decided later than the
   * producer's last marker is new, and everything else a late copy.
   */
  async writeMarker(request: WriteTransactionMarkerRequest): Promise<Failure | null> {
    const { producerId, producerEpoch, committed, decidedAtMs } = request;
    const problem = this.#around.confirmLeadership() ?? this.producers.markerProblem(request);
    if (problem !== undefined) return problem;
    if (this.producers.markerAtMs(producerId) >= decidedAtMs) {
      // The marker itself may still wait to be written.
      this.flush();
      return null;
    }
    const bytes = encodeMarker({
      producerId,
      producerEpoch,
      type: committed ? "commit" : "abort",
      timestampMs: decidedAtMs,
    });
    const baseOffset = this.#assignedEnd;
    stampBatch(bytes, baseOffset, this.#leaderEpoch);
    this.#assignedEnd = baseOffset + 1;
    const firstOffset = this.producers.mark(request, this.#around.clock.now());
    const ends = firstOffset === undefined ? undefined : { producerId, firstOffset, committed };
    await this.#queue.add({ bytes, baseOffset, nextOffset: baseOffset + 1, maxTimestamp: -1, ends });
    return null;
  }

  #appended(baseOffset: number, timestampMs: number): AppendResult {
    const isStamped = this.#around.configs().messageTimestampType === "LogAppendTime";
    return {
      baseOffset,
      logAppendTimeMs: isStamped ? timestampMs : -1,
      logStartOffset: this.#log.logStartOffset,
    };
  }

  /** Called by the queue, synchronously; throwing throws the object away, and with it all that memory has run ahead. */
  #write(batches: readonly AssignedBatch[]): void {
    const nowMs = this.#around.clock.now();
    const begins = this.#log.active?.bytes === 0;
    const rolled = this.#around.storage.transactionSync(() => {
      const didRoll = this.#log.write(batches, this.#around.configs(), nowMs);
      for (const { ends, baseOffset } of batches) {
        if (ends !== undefined) this.transactions.end(ends, baseOffset);
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
    const { segmentMs, retentionMs } = this.#around.configs();
    const newestMs = this.#log.active?.maxTimestamp ?? -1;
    const expiresAtMs = (newestMs >= 0 ? newestMs : nowMs) + retentionMs;
    // Records may come with times that are over already, before newer ones that keep their segment.
    const expiryMs = expiresAtMs > nowMs ? expiresAtMs : nowMs + Math.min(retentionMs, RETENTION_CHECK_MS);
    return Math.min(nowMs + segmentMs, expiryMs);
  }

  #saveProducers(nowMs: number): void {
    this.producers.expire(nowMs);
    this.#store.saveProducers(this.#log.logEndOffset, this.producers.snapshot());
    this.#flushesSinceSnapshot = 0;
    this.#batchesSinceSnapshot = 0;
  }

  /** Seals the active segment though it is not full. */
  roll(): void {
    // The producers' state, which is saved with a roll, is ahead of the log by the batches that wait.
    this.flush();
    const nowMs = this.#around.clock.now();
    this.#around.storage.transactionSync(() => {
      this.#log.roll(nowMs);
      this.#saveProducers(nowMs);
    });
  }
}
