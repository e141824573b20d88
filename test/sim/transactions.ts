/**
 * Transactional producers: they write to several partitions and to a group, and commit, abort, or are heard of no more.
 * Whatever happens, a read_committed reader sees all of a committed transaction, and nothing of any other.
 */

import type { GroupRpc } from "../../durable-objects/group/rpc.ts";
import type { ReadFailure } from "../../durable-objects/partition/rpc.ts";
import type { ProducerIdentity, TransactionRpc } from "../../durable-objects/transaction/rpc.ts";
import { askTwice, missing } from "../../src/cluster/missing-segment.ts";
import { batchHeaders } from "../../src/log/batch-header.ts";
import { committedBatches } from "../../src/log/committed-batches.ts";
import { type ErrorName, type Failure, isFailure } from "../../src/model/errors.ts";
import type { Topic } from "../../src/model/topic.ts";
import { readRange } from "../../src/tier/read-range.ts";
import type { Random } from "../crash/random.ts";
import { encodeContent } from "../crash/records.ts";
import { batchIds, CommittedSubscriber } from "./committed-subscriber.ts";
import { CLOCK_JUMP_MS_MAX } from "./faults.ts";
import { isFault } from "./object-host.ts";
import { changeableConfigs } from "./topic-plans.ts";
import { atomicityProblems, possibleOffsets, type SentTransaction } from "./transaction-record.ts";
import type { Workload } from "./workload.ts";

const PRODUCERS_MAX = 3;
const PARTITIONS_MAX = 3;
const BATCHES_MAX = 4;
const RECORDS_MAX = 4;
const PAUSE_MS_MAX = 200;
const READ_BYTES_MAX = 3_000;
const TIMEOUT_MS = 3_000;
const GROUP = "transactional-group";
/** Refused for now. */
const RETRIABLE = new Set<ErrorName>([
  "THROTTLING_QUOTA_EXCEEDED",
  "KAFKA_STORAGE_ERROR",
  "CONCURRENT_TRANSACTIONS",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
]);
/** What a producer is told whose transaction was ended for it: it took too long, or another one took over. */
const FENCED = new Set<ErrorName>([
  "PRODUCER_FENCED",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_TXN_STATE",
  "TRANSACTION_ABORTABLE",
  "INVALID_PRODUCER_ID_MAPPING",
]);

const LOST = Symbol("lost");

export class SimulatedTransactions {
  readonly workload: Workload;
  readonly transactions: SentTransaction[] = [];
  readonly #lanes: TransactionalProducer[] = [];
  readonly #followed = new Map<string, number[][]>();
  #topic: Topic | undefined;

  constructor(workload: Workload) {
    this.workload = workload;
  }

  get topic(): Topic {
    if (this.#topic === undefined) throw new Error("the topic is not made yet");
    return this.#topic;
  }

  async run(): Promise<void> {
    const { workload } = this;
    const random = workload.random.fork();
    const name = "transactions";
    const configs = { ...changeableConfigs(random), "retention.ms": "-1" };
    const partitions = random.integer(1, PARTITIONS_MAX);
    for (let made = false; !made; ) {
      await workload.insist(() => workload.controller.createTopic({ name, partitions, configs }));
      const topic = await workload.insist(() => workload.controller.topic(name));
      made = !isFailure(topic);
      if (!isFailure(topic)) this.#topic = topic;
    }
    workload.transactional.add(this.topic);
    const producers = random.integer(1, PRODUCERS_MAX);
    for (let lane = 0; lane < producers; lane++) {
      // Two of the same transactional id fence each other.
      const id = random.chance(0.2) ? "shared" : `producer-${lane}`;
      this.#lanes.push(new TransactionalProducer(this, random.fork(), id, lane));
    }
    for (const lane of this.#lanes) workload.run("a transactional producer", lane.run());
    for (let partition = 0; partition < partitions; partition++) {
      workload.run("a read_committed reader", this.#follow(partition));
      if (random.chance(0.5)) {
        const subscriber = new CommittedSubscriber(this, partition, this.#newFollowed(partition));
        workload.run("a read_committed subscriber", subscriber.run());
      }
    }
  }

  newTransaction(what: string): SentTransaction {
    const transaction: SentTransaction = { what, batches: [], doubtful: [], outcome: "aborted" };
    this.transactions.push(transaction);
    return transaction;
  }

  /** When all clients have ended, and what they left open has timed out. */
  async check(): Promise<void> {
    if (this.#topic === undefined) return;
    const { platform } = this.workload;
    const seen = new Map<string, readonly number[]>();
    for (let partition = 0; partition < this.topic.partitions; partition++) {
      const ids = await this.#readToEnd(partition);
      seen.set(String(partition), ids);
      for (const followed of this.#followed.get(String(partition)) ?? []) {
        if (followed.some((id, index) => id !== ids[index]))
          platform.violated(`a reader of partition ${partition} saw ${followed}, but there is ${ids}`);
      }
    }
    for (const problem of atomicityProblems(this.transactions, seen)) platform.violated(problem);
    await this.#checkOffsets(new Set([...seen.values()].flat()));
    platform.count("transactions verified", this.transactions.length);
  }

  /** A coordinator whose clock was ahead gives transactions more time. */
  get #endsWithinMs(): number {
    return this.workload.platform.areClocksTrue ? 30 * TIMEOUT_MS : 3 * CLOCK_JUMP_MS_MAX;
  }

  async #checkOffsets(visible: ReadonlySet<number>): Promise<void> {
    const { workload, topic } = this;
    const group = workload.platform.stub<GroupRpc>("GROUP", GROUP);
    const partitions = this.#lanes.map(({ lane }) => lane);
    const topics = [{ topicId: topic.id, partitions }];
    const request = { memberId: null, memberEpoch: -1, topics, requireStable: true };
    const giveUpMs = workload.platform.scheduler.nowMs + this.#endsWithinMs;
    let answer = await workload.insist(() => group.fetchOffsets(request));
    while (!isFailure(answer) && answer.some(({ error }) => error === "UNSTABLE_OFFSET_COMMIT")) {
      if (workload.platform.scheduler.nowMs > giveUpMs)
        return workload.platform.violated("offsets are waiting for the end of a transaction");
      await workload.pause(TIMEOUT_MS);
      answer = await workload.insist(() => group.fetchOffsets(request));
    }
    if (isFailure(answer)) return workload.platform.violated(`offsets were refused: ${answer.message}`);
    for (const { lane, sent } of this.#lanes) {
      const stored = answer.find(({ partition }) => partition === lane)?.offset;
      const possible = possibleOffsets(sent, ({ outcome, batches: [first] }) => {
        if (outcome !== "unknown") return outcome === "committed";
        return first === undefined ? undefined : visible.has(first.id);
      });
      if (!possible.includes(stored))
        workload.platform.violated(`lane ${lane} has offset ${stored} committed; it may be ${possible}`);
    }
  }

  /** All of the partition, up to the end of the log: at rest no transaction is open. */
  async #readToEnd(partition: number): Promise<number[]> {
    const { scheduler } = this.workload.platform;
    const giveUpMs = scheduler.nowMs + this.#endsWithinMs;
    const ids: number[] = [];
    for (let position = 0; ; ) {
      const answer = await this.read(partition, position);
      if (answer === undefined) continue;
      if (isFailure(answer)) {
        this.workload.platform.violated(`a read of partition ${partition} at ${position}: ${answer.message}`);
        return ids;
      }
      ids.push(...answer.ids);
      position = answer.nextOffset;
      if (position >= answer.highWatermark) return ids;
      if (scheduler.nowMs > giveUpMs) {
        this.workload.platform.violated(
          `partition ${partition} is stable up to ${position} only, and ends at ${answer.highWatermark}`,
        );
        return ids;
      }
      await this.workload.pause(this.#endsWithinMs / 30);
    }
  }

  /** To be filled with the ids of the batches that a reader sees, in their order. */
  #newFollowed(partition: number): number[] {
    const ids: number[] = [];
    const key = String(partition);
    this.#followed.set(key, [...(this.#followed.get(key) ?? []), ids]);
    return ids;
  }

  async #follow(partition: number): Promise<void> {
    const ids = this.#newFollowed(partition);
    for (let position = 0; !this.workload.isDraining; ) {
      const answer = await this.read(partition, position);
      if (answer !== undefined && isFailure(answer))
        return this.workload.platform.violated(`a follower of ${partition} was told ${answer.message}`);
      if (answer !== undefined) {
        ids.push(...answer.ids);
        position = answer.nextOffset;
        this.workload.platform.count("committed batches read", answer.ids.length);
      }
      await this.workload.pause(PAUSE_MS_MAX);
    }
  }

  /** As the front ends read. undefined: it failed, and may be tried again. */
  async read(
    partition: number,
    offset: number,
  ): Promise<{ ids: number[]; nextOffset: number; highWatermark: number } | ReadFailure | undefined> {
    const { workload, topic } = this;
    const leader = workload.frontEnd.partition(topic.id, partition);
    const maxBytes = workload.random.integer(1, READ_BYTES_MAX);
    try {
      const answer = await askTwice(async () => {
        const read = await workload.frontEnd.ask(() =>
          leader.read({ topicVersion: topic.version, offset, maxBytes, isolation: "read_committed" }),
        );
        if (isFailure(read) || read.kind === "local") return read;
        const batches = await readRange(workload.platform.bucket.reader, read.range, offset, maxBytes);
        return batches === undefined ? missing(read.range) : { ...read, batches };
      });
      if (isFailure(answer)) return answer.error === "KAFKA_STORAGE_ERROR" ? undefined : answer;
      const { batches, abortedTransactions = [], highWatermark } = answer;
      let nextOffset = offset;
      for (const { header } of batchHeaders(batches)) nextOffset = header.nextOffset;
      const ids = batchIds(committedBatches(batches, abortedTransactions), offset);
      return { ids, nextOffset, highWatermark };
    } catch (error) {
      if (!isFault(error)) throw error;
      return undefined;
    }
  }
}

/** One life after another of a producer with a transactional id. */
class TransactionalProducer {
  readonly lane: number;
  readonly sent: SentTransaction[] = [];
  readonly #all: SimulatedTransactions;
  readonly #workload: Workload;
  readonly #random: Random;
  readonly #transactionalId: string;
  /** It speaks the second part of KIP-890: batches join by themselves, and every end raises the epoch. */
  readonly #bumpsEpoch: boolean;
  #identity: ProducerIdentity | undefined;
  #sequences: number[] = [];
  #transactions = 0;

  constructor(all: SimulatedTransactions, random: Random, transactionalId: string, lane: number) {
    this.#all = all;
    this.#workload = all.workload;
    this.#random = random;
    this.#transactionalId = transactionalId;
    this.lane = lane;
    this.#bumpsEpoch = random.chance(0.6);
  }

  async run(): Promise<void> {
    while (!this.#workload.isDraining) {
      if (this.#identity === undefined || this.#random.chance(0.05)) await this.#begin();
      else await this.#transaction(this.#identity);
      await this.#workload.pause(PAUSE_MS_MAX);
    }
  }

  get #coordinator(): TransactionRpc {
    return this.#workload.platform.stub("TRANSACTION", this.#transactionalId);
  }

  async #begin(): Promise<void> {
    const request = { transactionTimeoutMs: TIMEOUT_MS, current: null };
    const answer = await this.#ask(() => this.#coordinator.initProducerId(request));
    this.#forget();
    if (answer === LOST) return;
    if (!isFailure(answer)) this.#identity = answer;
    else if (!RETRIABLE.has(answer.error)) this.#unexpected("initProducerId", answer);
  }

  #forget(): void {
    this.#identity = undefined;
    this.#sequences = [];
  }

  async #transaction(identity: ProducerIdentity): Promise<void> {
    const what = `transaction ${++this.#transactions} of ${this.#transactionalId} (lane ${this.lane})`;
    const transaction = this.#all.newTransaction(what);
    this.sent.push(transaction);
    this.#workload.platform.count("transactions begun");
    const isWhole = await this.#write(identity, transaction);
    // Nothing more is heard of some; the coordinator ends them when their time is over, or another producer comes.
    if (this.#random.chance(0.1)) return this.#forget();
    const commits = isWhole && this.#random.chance(0.7);
    await this.#end(identity, transaction, commits);
  }

  /** False: something is missing. */
  async #write(identity: ProducerIdentity, transaction: SentTransaction): Promise<boolean> {
    const { topic } = this.#all;
    const batches = this.#random.integer(1, BATCHES_MAX);
    const added = new Set<number>();
    for (let nth = 0; nth < batches; nth++) {
      const partition = this.#random.integer(0, topic.partitions - 1);
      if (!added.has(partition) && !this.#bumpsEpoch) {
        const topics = [{ topicId: topic.id, partitions: [partition] }];
        const answer = await this.#insist(() => this.#coordinator.addPartitions({ ...identity, topics }));
        if (isFailure(answer)) return this.#failed("addPartitions", answer);
      }
      added.add(partition);
      if (!(await this.#append(identity, transaction, partition))) return false;
      if (this.#random.chance(0.3)) await this.#workload.pause(PAUSE_MS_MAX);
    }
    return this.#random.chance(0.5) || this.#commitOffset(identity, transaction);
  }

  async #append(
    identity: ProducerIdentity,
    transaction: SentTransaction,
    partition: number,
  ): Promise<boolean> {
    const { topic } = this.#all;
    const id = this.#workload.newBatchId();
    const records = this.#random.integer(1, RECORDS_MAX);
    const baseSequence = this.#sequences[partition] ?? 0;
    const timestampMs = Math.floor(this.#workload.platform.scheduler.nowMs);
    const lane = `lane ${this.lane}`;
    const content = { id, lane, records, timestampMs, baseSequence, transactional: true, ...identity };
    const leader = this.#workload.frontEnd.partition(topic.id, partition);
    const place = { partition: String(partition), id };
    transaction.doubtful.push(place);
    const answer = await this.#insist(() =>
      leader.append({
        topicVersion: topic.version,
        batch: encodeContent(content),
        transaction: { transactionalId: this.#transactionalId, adds: this.#bumpsEpoch },
      }),
    );
    if (isFailure(answer)) return this.#failed("append", answer);
    transaction.batches.push(place);
    this.#workload.platform.note(
      () => `batch ${id} is acknowledged at ${answer.baseOffset} of ${topic.name}-${partition}`,
    );
    this.#sequences[partition] = baseSequence + records;
    return true;
  }

  async #commitOffset(identity: ProducerIdentity, transaction: SentTransaction): Promise<boolean> {
    if (!this.#bumpsEpoch) {
      const answer = await this.#insist(() => this.#coordinator.addGroup({ ...identity, groupId: GROUP }));
      if (isFailure(answer)) return this.#failed("addGroup", answer);
    }
    const { id: topicId, name } = this.#all.topic;
    const offset = this.#transactions;
    const group = this.#workload.platform.stub<GroupRpc>("GROUP", GROUP);
    const answer = await this.#insist(() =>
      group.commitTransactionOffsets({
        ...identity,
        transactionalId: this.#transactionalId,
        adds: this.#bumpsEpoch,
        memberId: "",
        instanceId: null,
        generation: -1,
        offsets: [{ topicId, topic: name, partition: this.lane, offset, leaderEpoch: -1, metadata: "" }],
      }),
    );
    if (isFailure(answer)) return this.#failed("commitTransactionOffsets", answer);
    const [one] = answer;
    if (one?.error !== null) {
      this.#workload.platform.violated(`the offset of lane ${this.lane} was refused: ${one?.error}`);
      return false;
    }
    transaction.offset = offset;
    return true;
  }

  async #end(identity: ProducerIdentity, transaction: SentTransaction, committed: boolean): Promise<void> {
    const request = { ...identity, committed, bumpsEpoch: this.#bumpsEpoch };
    for (;;) {
      const answer = await this.#ask(() => this.#coordinator.endTransaction(request));
      if (committed) transaction.outcome = "unknown";
      if (answer === LOST) {
        if (!this.#bumpsEpoch) return this.#forget();
      } else if (!isFailure(answer)) {
        transaction.outcome = committed ? "committed" : "aborted";
        this.#workload.platform.count(`transactions ${transaction.outcome}`);
        if (answer.producerEpoch !== identity.producerEpoch || answer.producerId !== identity.producerId)
          this.#sequences = [];
        this.#identity = answer;
        return;
      } else if (!RETRIABLE.has(answer.error)) {
        // Asked once and refused: whoever ended it has aborted it.
        if (!this.#bumpsEpoch) transaction.outcome = "aborted";
        this.#failed("endTransaction", answer);
        return;
      }
      await this.#workload.pause(PAUSE_MS_MAX);
    }
  }

  /** Its transaction is over, whoever ended it: it begins again, which aborts what may still be open. */
  #failed(what: string, failed: Failure): false {
    if (!FENCED.has(failed.error)) this.#unexpected(what, failed);
    this.#workload.platform.count(`transactions fenced: ${failed.error}`);
    this.#forget();
    return false;
  }

  #unexpected(what: string, { error, message }: Failure): void {
    this.#workload.platform.violated(`${what} of lane ${this.lane}: ${error}, ${message}`);
  }

  /** Until there is an answer that is not for now. */
  async #insist<T>(ask: () => Promise<T | Failure>): Promise<T | Failure> {
    for (;;) {
      const answer = await this.#ask(ask);
      if (answer !== LOST && !(isFailure(answer) && RETRIABLE.has(answer.error))) return answer;
      await this.#workload.pause(PAUSE_MS_MAX);
    }
  }

  /** Before the second part of KIP-890 a request that comes late, or twice, may be taken for one of the next transaction. */
  #ask<T>(ask: () => Promise<T>): Promise<T | typeof LOST> {
    const { frontEnd } = this.#workload;
    return (this.#bumpsEpoch ? frontEnd.ask(ask) : frontEnd.askOnce(ask)).catch(lost);
  }
}

function lost(error: unknown): typeof LOST {
  if (!isFault(error)) throw error;
  return LOST;
}
