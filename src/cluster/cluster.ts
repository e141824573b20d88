import type {
  ActiveProducer,
  AppendResult,
  DeleteRecordsResult,
  LeaderRpc,
  LogBounds,
  OffsetForLeaderEpochResult,
  PartitionDescription,
  ReadFailure,
  ReadRequest,
  TransactionOfBatch,
} from "../../durable-objects/partition/rpc.ts";
import type { Env } from "../env.ts";
import { readBatchHeader } from "../log/batch-header.ts";
import type { AbortedTransaction } from "../log/committed-batches.ts";
import { type Failure, isFailure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import { ProducerIds } from "../model/producer-ids.ts";
import { noSuchPartition, placementOf, type Topic } from "../model/topic.ts";
import { readRange } from "../tier/read-range.ts";
import { ControllerClient } from "./controller-client.ts";
import { countFetched, countProduced } from "./counters.ts";
import { GroupClient } from "./group-client.ts";
import { type ListedOffset, listOffset } from "./list-offset.ts";
import { askTwice, missing } from "./missing-segment.ts";
import { NoticeSocket } from "./notice-socket.ts";
import { type PartitionLag, partitionLag } from "./partition-lag.ts";
import { PartitionSessions } from "./partition-sessions.ts";
import { type PartitionStub, PartitionStubs } from "./partition-stubs.ts";
import { RecordTimes } from "./record-times.ts";
import { RemoteReads } from "./remote-reads.ts";
import { type CallKind, callObject } from "./stub-errors.ts";
import { TopicCache } from "./topic-cache.ts";
import { inTopicCodec } from "./topic-codec.ts";
import { TransactionClient } from "./transaction-client.ts";
import { type WaitOptions, waitForBatches } from "./waiting-read.ts";

export type { ListedOffset } from "./list-offset.ts";

/** By its name; or by its id, so that a topic that was recreated under the same name is another one. */
export type TopicReference = string | Pick<Topic, "id">;

export interface AppendOptions {
  /** The leader epoch that the caller believes in; absent: not checked. */
  readonly leaderEpoch?: number;
  /** Of a transactional batch. */
  readonly transaction?: TransactionOfBatch | undefined;
  /** Create the topic if there is none and the deployment says so (EDGELOG_AUTO_CREATE_TOPICS). */
  readonly autoCreate?: boolean;
}

export type ReadOptions = Omit<ReadRequest, "topicVersion">;

/** Whole batches, the first of which contains the offset asked for. Empty at the log end. */
export interface ReadAnswer extends LogBounds {
  readonly batches: Uint8Array;
  /** To a read_committed reader; see src/log/committed-batches.ts. */
  readonly abortedTransactions?: readonly AbortedTransaction[];
}

/** Answers that say: what you know of the topic is old. */
const STALE_METADATA = new Set(["UNKNOWN_TOPIC_ID", "NOT_LEADER_OR_FOLLOWER"]);

// Shared by all requests of the isolate: plain values, nothing that belongs to one request.
const topicCache = new TopicCache();
const producerIds = new ProducerIds();
const remoteReads = new RemoteReads();
const recordTimes = new RecordTimes();

/**
 * Finds the way to partitions for every front end; made once per request or connection. It refuses what it can tell
 * without a partition, forgets metadata that turns out to be old (and tries once more), and turns the exceptions of
 * stubs into failures: REQUEST_TIMED_OUT (of an append: outcome unknown), KAFKA_STORAGE_ERROR (of another write: outcome
 * unknown), THROTTLING_QUOTA_EXCEEDED (overloaded: not begun).
 */
export class Cluster {
  readonly controller: ControllerClient;
  readonly #env: Env;
  readonly #stubs: PartitionStubs;
  readonly #sessions: PartitionSessions | undefined;
  /** Look-ups that are under way: who asks for the same topic meanwhile waits for the same answer. */
  readonly #lookUps = new Map<string, Promise<Topic | Failure>>();
  /**
   * The last call of each topic that does not know it yet. Whoever calls next stands behind it: another request of the
   * isolate may fill the cache while this one still waits, and a later batch must not find its way before an earlier one.
   */
  readonly #turns = new Map<string, Promise<Topic | Failure>>();

  /** `keepsSessions`: for a connection, which calls the same partitions again and again; it must be closed. */
  constructor(env: Env, { keepsSessions = false } = {}) {
    this.#env = env;
    this.#stubs = new PartitionStubs(env.PARTITION);
    this.#sessions = keepsSessions ? new PartitionSessions(this.#stubs) : undefined;
    this.controller = new ControllerClient(env.CONTROLLER, topicCache);
  }

  /** Partitions that are kept awake by this connection. */
  get openSessions(): number {
    return this.#sessions?.size ?? 0;
  }

  /** Lets go of what it keeps open at partitions; calls can still be made. */
  close(): void {
    this.#sessions?.close();
  }

  /** Partitions of a topic that is created without saying how many. */
  get defaultPartitions(): number {
    return Number(this.#env.EDGELOG_NUM_PARTITIONS ?? "1");
  }

  /** As known in this isolate for at most METADATA_CACHE_MS. UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID. */
  async topic(reference: TopicReference): Promise<Topic | Failure> {
    if (typeof reference === "string") {
      return (
        topicCache.byName(reference) ??
        this.#once(`name ${reference}`, () => this.controller.topic(reference))
      );
    }
    const { id } = reference;
    return topicCache.byId(id) ?? this.#once(`id ${id}`, () => this.controller.topicById(id));
  }

  /** As {@link topic}, but creates the topic with the cluster's defaults if EDGELOG_AUTO_CREATE_TOPICS is "true". */
  async topicForProduce(name: string): Promise<Topic | Failure> {
    return topicCache.byName(name) ?? this.#once(`produce ${name}`, () => this.#topicOrNew(name));
  }

  async #topicOrNew(name: string): Promise<Topic | Failure> {
    const topic = await this.controller.topic(name);
    const isUnknown = isFailure(topic) && topic.error === "UNKNOWN_TOPIC_OR_PARTITION";
    if (!isUnknown || this.#env.EDGELOG_AUTO_CREATE_TOPICS !== "true") return topic;
    const created = await this.controller.createTopic({ name });
    const cameLate = isFailure(created) && created.error === "TOPIC_ALREADY_EXISTS";
    return cameLate ? this.controller.topic(name) : created;
  }

  #once(key: string, lookUp: () => Promise<Topic | Failure>): Promise<Topic | Failure> {
    const underWay = this.#lookUps.get(key);
    if (underWay !== undefined) return underWay;
    const asked = lookUp().finally(() => this.#lookUps.delete(key));
    this.#lookUps.set(key, asked);
    return asked;
  }

  /** The next look at this topic asks the Controller. */
  forget(topic: Pick<Topic, "id">): void {
    topicCache.forget(topic.id);
  }

  /** The stub of the partition's leader, the same one for every call until {@link dropPartition}. */
  partition(topic: Topic, partition: number): PartitionStub {
    return this.#stubs.of(topic, partition);
  }

  /** The coordinator of a group. */
  group(groupId: string): GroupClient {
    return new GroupClient(this.#env.GROUP, groupId);
  }

  /** The coordinator of a transactional id. */
  transaction(transactionalId: string): TransactionClient {
    return new TransactionClient(this.#env.TRANSACTION, transactionalId);
  }

  /** For those who call {@link partition} themselves: an exception breaks a stub for good. */
  dropPartition(topic: Topic, partition: number, broken: PartitionStub): void {
    this.#stubs.drop(topic, partition, broken);
  }

  /**
   * `batch`: one whole record batch (magic 2). Calls made in a row on one Cluster reach the partition in that order.
   */
  append(
    reference: TopicReference,
    partition: number,
    batch: Uint8Array,
    { leaderEpoch, transaction, autoCreate = false }: AppendOptions = {},
  ): Promise<AppendResult | Failure> {
    // A view would ship its whole backing buffer.
    const bytes = batch.byteLength === batch.buffer.byteLength ? batch : batch.slice();
    const lookUp = () =>
      autoCreate && typeof reference === "string" ? this.topicForProduce(reference) : this.topic(reference);
    return this.#route(reference, lookUp, partition, async (topic) => {
      const batch = inTopicCodec(topic, bytes);
      if (isFailure(batch)) return batch;
      const appended = await this.#call("append", topic, partition, (leader) =>
        leader.append({
          topicVersion: topic.version,
          batch,
          ...(transaction !== undefined && { transaction }),
          ...believed(leaderEpoch),
        }),
      );
      if (!isFailure(appended)) countProduced(readBatchHeader(batch).recordsCount, batch.length);
      return appended;
    });
  }

  /** OFFSET_OUT_OF_RANGE tells the bounds. What lies in R2 is read here, not by the leader. */
  async read(
    reference: TopicReference,
    partition: number,
    request: ReadOptions,
  ): Promise<ReadAnswer | ReadFailure> {
    const answer = await this.#routeByReference(reference, partition, (topic) =>
      this.#read(topic, partition, request),
    );
    if (!isFailure(answer)) countFetched(answer.batches.length);
    return answer;
  }

  /**
   * As {@link read}, but where that would find less than `minBytes`, waits for appends, at most `maxWaitMs`
   * (READ_WAIT_MS_MAX). Answers early with what it has when `signal` aborts.
   */
  readWaiting(
    reference: TopicReference,
    partition: number,
    request: ReadOptions & WaitOptions,
  ): Promise<ReadAnswer | ReadFailure> {
    const { minBytes, maxWaitMs, signal, ...read } = request;
    const wait = { minBytes, maxWaitMs, ...(signal === undefined ? {} : { signal }) };
    return waitForBatches(read, wait, {
      read: (next) => this.read(reference, partition, next),
      openNotices: () => this.#openNotices(reference, partition),
    });
  }

  /** `timestamp` in ms, or one of Kafka's special ones (partition/rpc.ts). -1, -1 where no record is that young. */
  listOffsets(
    reference: TopicReference,
    partition: number,
    timestamp: number,
    isolation: Isolation = "read_uncommitted",
  ): Promise<ListedOffset | Failure> {
    return this.#routeByReference(reference, partition, (topic) =>
      listOffset(timestamp, {
        ask: (sought, fromOffset) =>
          this.#call("read", topic, partition, (leader) =>
            leader.listOffsets({ topicVersion: topic.version, timestamp: sought, isolation, fromOffset }),
          ),
        bucket: this.#env.SEGMENTS,
        run: (read) => remoteReads.run(0, read),
      }),
    );
  }

  deleteRecords(
    reference: TopicReference,
    partition: number,
    beforeOffset: number,
  ): Promise<DeleteRecordsResult | Failure> {
    return this.#routeByReference(reference, partition, (topic) =>
      this.#call("write", topic, partition, (leader) =>
        leader.deleteRecords({ topicVersion: topic.version, beforeOffset }),
      ),
    );
  }

  offsetForLeaderEpoch(
    reference: TopicReference,
    partition: number,
    epoch: number,
    leaderEpoch?: number,
  ): Promise<OffsetForLeaderEpochResult | Failure> {
    return this.#routeByReference(reference, partition, (topic) =>
      this.#call("read", topic, partition, (leader) =>
        leader.offsetForLeaderEpoch({ topicVersion: topic.version, epoch, ...believed(leaderEpoch) }),
      ),
    );
  }

  describePartition(reference: TopicReference, partition: number): Promise<PartitionDescription | Failure> {
    return this.#routeByReference(reference, partition, (topic) =>
      this.#call("read", topic, partition, (leader) => leader.describe({ topicVersion: topic.version })),
    );
  }

  /** `positions`: offsets that readers read next, at most LAG_POSITIONS_PER_CALL_MAX. */
  lag(
    reference: TopicReference,
    partition: number,
    positions: readonly number[],
  ): Promise<PartitionLag | Failure> {
    return this.#routeByReference(reference, partition, (topic) =>
      partitionLag({
        ask: () =>
          this.#call("read", topic, partition, (leader) =>
            leader.lag({ topicVersion: topic.version, positions }),
          ),
        bucket: this.#env.SEGMENTS,
        times: recordTimes,
        run: (read) => remoteReads.run(0, read),
      }),
    );
  }

  activeProducers(reference: TopicReference, partition: number): Promise<ActiveProducer[] | Failure> {
    return this.#routeByReference(reference, partition, (topic) =>
      this.#call("read", topic, partition, (leader) =>
        leader.activeProducers({ topicVersion: topic.version }),
      ),
    );
  }

  /**
   * A producer id that nobody else has or will have.
   * @throws {EdgelogError} KAFKA_STORAGE_ERROR, THROTTLING_QUOTA_EXCEEDED: the Controller could not be asked.
   */
  allocateProducerId(): Promise<number> {
    return producerIds.allocate(() => this.controller.allocateProducerIds());
  }

  async #openNotices(reference: TopicReference, partition: number): Promise<NoticeSocket | undefined> {
    const topic = await this.topic(reference);
    if (isFailure(topic)) return undefined;
    const leader = this.#stubs.of(topic, partition);
    try {
      return await NoticeSocket.open(leader, topic.version);
    } catch (error) {
      console.warn("could not open a notice socket:", error);
      this.#stubs.drop(topic, partition, leader);
      return undefined;
    }
  }

  async #read(topic: Topic, partition: number, request: ReadOptions): Promise<ReadAnswer | ReadFailure> {
    return askTwice(async () => {
      const result = await this.#call("read", topic, partition, (leader) =>
        leader.read({ topicVersion: topic.version, ...request }),
      );
      if (isFailure(result)) return result;
      const { logStartOffset, highWatermark, lastStableOffset, leaderEpoch, abortedTransactions } = result;
      const bounds = {
        logStartOffset,
        highWatermark,
        lastStableOffset,
        leaderEpoch,
        ...(abortedTransactions !== undefined && { abortedTransactions }),
      };
      if (result.kind === "local") return { ...bounds, batches: result.batches };
      const { range } = result;
      const batches = await remoteReads.run(request.maxBytes, (bytesMax) =>
        readRange(this.#env.SEGMENTS, range, request.offset, bytesMax),
      );
      if (batches === undefined) return missing(range);
      return isFailure(batches) ? batches : { ...bounds, batches };
    });
  }

  #routeByReference<T extends object>(
    reference: TopicReference,
    partition: number,
    call: (topic: Topic) => Promise<T | Failure>,
  ): Promise<T | Failure> {
    return this.#route(reference, () => this.topic(reference), partition, call);
  }

  /** Calls a partition of the topic as known; once more if it turns out that the topic is not what was known. */
  async #route<T extends object>(
    reference: TopicReference,
    lookUp: () => Promise<Topic | Failure>,
    partition: number,
    call: (topic: Topic) => Promise<T | Failure>,
  ): Promise<T | Failure> {
    const key = typeof reference === "string" ? `name ${reference}` : `id ${reference.id}`;
    const before = this.#turns.get(key);
    const turn = before === undefined ? lookUp() : before.then(lookUp, lookUp);
    this.#turns.set(key, turn);
    const known = await turn;
    // Nothing is awaited between here and the call: the next turn begins after it.
    if (this.#turns.get(key) === turn) this.#turns.delete(key);
    if (isFailure(known)) return known;
    const first = hasPartition(known, partition) ? await call(known) : noSuchPartition(known, partition);
    const isOld = isFailure(first) && (STALE_METADATA.has(first.error) || !hasPartition(known, partition));
    if (!isOld || !isPartitionIndex(partition)) return first;
    this.forget(known);
    const topic = await lookUp();
    if (isFailure(topic)) return topic;
    if (!hasPartition(topic, partition)) return noSuchPartition(topic, partition);
    const isSameLeader =
      topic.id === known.id &&
      placementOf(topic, partition) === placementOf(known, partition) &&
      hasPartition(known, partition);
    return isSameLeader ? first : call(topic);
  }

  #call<T>(
    kind: CallKind,
    topic: Topic,
    partition: number,
    method: (leader: LeaderRpc) => Promise<T>,
  ): Promise<T | Failure> {
    return callObject(`the leader of ${topic.name}-${partition}`, kind, () =>
      (this.#sessions ?? this.#stubs).call(topic, partition, method),
    );
  }
}

function believed(leaderEpoch: number | undefined): { leaderEpoch?: number } {
  return leaderEpoch === undefined ? {} : { leaderEpoch };
}

function isPartitionIndex(partition: number): boolean {
  return Number.isInteger(partition) && partition >= 0;
}

function hasPartition(topic: Topic, partition: number): boolean {
  return isPartitionIndex(partition) && partition < topic.partitions;
}
