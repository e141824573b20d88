import { decodeBatches } from "../../../log/batch.ts";
import { EdgelogError } from "../../../model/errors.ts";
import { inTime } from "../../../model/in-time.ts";
import type { DataFrame } from "../../../subscribe/frame.ts";
import type { PartitionMessage } from "../../../subscribe/group-protocol.ts";
import { onAbort, Stop } from "../../abort.ts";
import { withResolvers } from "../../promises.ts";
import { ConsumedRecord } from "../../record.ts";
import { pause } from "../../retry.ts";
import { type Arrival, Inbox } from "../inbox.ts";
import type { Link, Wiring } from "../link.ts";
import { AssignedPartition, partitionKey } from "./assigned-partition.ts";
import { Committer } from "./committer.ts";
import { Membership, type NewAssignment } from "./membership.ts";
import {
  type GroupConsumeOptions,
  type GroupSettings,
  groupSettings,
  type OffsetToCommit,
  type TopicPartition,
  type TopicPattern,
} from "./options.ts";
import { Readers } from "./readers.ts";
import { startOffsets } from "./start-offsets.ts";

interface GroupArrival extends Arrival {
  readonly partition: AssignedPartition;
}

/** How long the end may take that has something to commit. */
const CLOSE_MS_MAX = 5_000;
/** A partition that could not be read, because its topic seemed to be gone, is tried again if nobody takes it away. */
const READ_AGAIN_MS = 5_000;

/**
 * What a member of a group reads, as an async iterator; made by `client.consume(topics, { group })`. It joins when the first
 * record is asked for, and leaves when the loop is left, `close()` is called or the signal aborts. Partitions come and go
 * while it runs, those that stay do not stop for it.
 *
 * A record counts as processed when the loop asks for the next one: at least once, every record is given to a loop that comes
 * so far. The loop throws what no reconnecting can cure, such as UNKNOWN_TOPIC_OR_PARTITION, INCONSISTENT_GROUP_PROTOCOL or
 * SASL_AUTHENTICATION_FAILED.
 */
export class GroupSubscription implements AsyncIterableIterator<ConsumedRecord, void, undefined> {
  readonly #settings: GroupSettings;
  readonly #topics: Wiring["topics"];
  readonly #membership: Membership;
  readonly #readers: Readers;
  readonly #committer: Committer;
  readonly #inbox = new Inbox<GroupArrival>();
  readonly #over = new Stop();
  readonly #records: AsyncGenerator<ConsumedRecord, void, undefined>;
  /** Those being given up included. */
  readonly #partitions = new Map<string, AssignedPartition>();
  /** The epochs of assignments whose partitions are being given up. */
  readonly #givingUp = new Set<number>();
  /** The record that the loop has in hand. */
  #inHand: { readonly partition: AssignedPartition; readonly offset: number } | undefined;
  #returned = withResolvers<void>();
  readonly #ready = withResolvers<void>();
  #isStarted = false;
  #isClosed = false;
  #ended: Promise<void> | undefined;
  /** What the application does about partitions that are given up. */
  #telling: Promise<unknown> = Promise.resolve();
  #failedAtEnd: { readonly error: unknown } | undefined;
  #lookForMoreTimer: ReturnType<typeof setInterval> | undefined;

  /** @internal */
  constructor(
    topics: string | readonly string[] | TopicPattern,
    options: GroupConsumeOptions,
    wiring: Pick<Wiring, "topics" | "transport" | "WebSocket">,
  ) {
    const settings = groupSettings(topics, options);
    const over = this.#over;
    this.#settings = settings;
    this.#topics = wiring.topics;
    this.#membership = new Membership({
      ...wiring,
      settings,
      over,
      onAssignment: (assignment) => this.#assigned(assignment),
      onLost: () => this.#lost(),
    });
    this.#committer = new Committer(this.#membership, over, wiring.transport.options.requestTimeoutMs);
    this.#readers = new Readers({
      ...wiring,
      over,
      reading: settings.reading,
      handshakes: { hasOpened: false },
      onFrame: (partition, link, frame) => this.#arrived(partition, link, frame),
      onFailed: (partition, error) => this.#failed(partition, error),
    });
    this.#records = this.#iterate();
  }

  /** The next record, when there is one. The one before counts as processed. */
  next(): Promise<IteratorResult<ConsumedRecord, void>> {
    return this.#records.next();
  }

  /** Ends it, as leaving a `for await` loop does. */
  async return(): Promise<IteratorResult<ConsumedRecord, void>> {
    this.#isClosed = true;
    await this.#end();
    const result = await this.#records.return();
    const failed = this.#failedAtEnd;
    this.#failedAtEnd = undefined;
    if (failed !== undefined) throw failed.error;
    return result;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Ends it: `onRevoked` is told of all partitions, what has been processed is committed (unless `autoCommit` is false), and
   * the group is left. Throws what `onRevoked` throws.
   */
  async close(): Promise<void> {
    await this.return();
  }

  /** For `await using records = client.consume(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Joins, and resolves when this member has been told for the first time what it has (which may be nothing), and it is
   * settled where each partition begins.
   */
  async ready(): Promise<void> {
    this.#start();
    await this.#ready.promise;
  }

  /** The coordinator's name for this member; undefined until it has joined. */
  get memberId(): string | undefined {
    return this.#membership.memberId;
  }

  /** The partitions that it reads now. */
  assignment(): TopicPartition[] {
    return named([...this.#partitions.values()].filter(({ isOver }) => !isOver));
  }

  /**
   * Commits these offsets, or else of every partition the position after the last record that was given out: the one that the
   * loop has in hand counts as processed. Resolves when they are durable; what fails retriably is tried again for as long as
   * the client's `requestTimeoutMs` allows.
   *
   * Throws STALE_MEMBER_EPOCH for a partition that is another member's by now, whose records are given to that.
   */
  async commit(offsets?: Iterable<OffsetToCommit>): Promise<void> {
    if (offsets !== undefined) {
      await this.#committer.commitNow([...offsets].map((offset) => this.#toCommit(offset)));
      return;
    }
    if (this.#inHand !== undefined) this.#inHand.partition.position = this.#inHand.offset + 1;
    await this.#committer.commitPositions([...this.#partitions.values()]);
  }

  #toCommit({ topic, partition, offset, metadata }: OffsetToCommit) {
    const found = [...this.#partitions.values()].find(
      (each) => each.topic === topic && each.partition === partition,
    );
    if (found !== undefined) return { partition: found, offset, metadata };
    throw new EdgelogError("STALE_MEMBER_EPOCH", `${topic}-${partition} is not assigned to this member`);
  }

  // ── the loop ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async *#iterate(): AsyncGenerator<ConsumedRecord, void, undefined> {
    const { signal } = this.#settings.reading;
    try {
      this.#start();
      for (;;) {
        const arrival = await this.#inbox.take();
        if (arrival === undefined) return;
        const { partition, frame } = arrival;
        for (const record of decodeBatches(frame.batches)) {
          // Whole batches come: the first may begin before what was asked for, the last may end after it.
          if (record.offset < frame.from) continue;
          if (record.offset >= frame.next || partition.isOver) break;
          this.#inHand = { partition, offset: record.offset };
          yield new ConsumedRecord(partition.topic, partition.partition, record);
          this.#returnedTo(partition, record.offset + 1);
          signal?.throwIfAborted();
          if (this.#over.aborted) return;
        }
        if (!partition.isOver) partition.position = frame.next;
        arrival.link.consumed(frame.batches.length);
      }
    } catch (error) {
      if (!this.#isClosed || signal?.aborted) throw error;
    } finally {
      const ended = this.#end();
      if (!signal?.aborted) await ended;
    }
  }

  #returnedTo(partition: AssignedPartition, position: number): void {
    partition.position = position;
    this.#inHand = undefined;
    this.#returned.resolve();
    this.#returned = withResolvers<void>();
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const { signal, metadataMaxAgeMs } = this.#settings.reading;
    signal?.throwIfAborted();
    const end = onAbort(signal, () => {
      this.#inbox.abort(signal?.reason);
      void this.#end();
    });
    onAbort(this.#over, end);
    this.#membership.run().catch((error: unknown) => this.#fail(error));
    if (this.#settings.autoCommit)
      this.#committer.every(this.#settings.autoCommitIntervalMs, this.#partitions);
    this.#committer.onFailed = (error) => this.#fail(error);
    this.#lookForMoreTimer = setInterval(() => void this.#lookForMore(), metadataMaxAgeMs);
  }

  #fail(error: unknown): void {
    this.#inbox.abort(error);
    this.#ready.reject(error);
    this.#ready.promise.catch(() => {});
    void this.#end();
  }

  #end(): Promise<void> {
    if (this.#ended !== undefined) return this.#ended;
    // Known before anything happens: the application may call from within what it is told.
    const ended = withResolvers<void>();
    this.#ended = ended.promise;
    this.#leave().then(ended.resolve, ended.reject);
    return ended.promise;
  }

  async #leave(): Promise<void> {
    clearInterval(this.#lookForMoreTimer);
    this.#committer.stop();
    this.#inbox.end();
    const partitions = [...this.#partitions.values()];
    for (const partition of partitions) this.#stop(partition);
    this.#returned.resolve();
    if (this.#isStarted && this.#membership.isMember && !this.#over.aborted) {
      // The loop is not waited for: it may be the one that ends this. But what was on its way to it has come.
      if (this.#inHand !== undefined) await pause(0);
      const told = this.#tellRevoked(partitions).catch((error: unknown) => {
        this.#failedAtEnd = { error };
      });
      await inTime(told, this.#settings.rebalanceTimeoutMs, () => undefined);
      if (this.#settings.autoCommit) {
        const committed = this.#committer.commitPositions(partitions).catch(() => {});
        await inTime(committed, CLOSE_MS_MAX, () => undefined);
      }
      await this.#membership.leave();
    }
    this.#ready.resolve();
    this.#over.abort(new EdgelogError("NETWORK_EXCEPTION", "the subscription is over"));
  }

  // ── partitions ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #assigned({ assigned, revoke, epoch, isFull }: NewAssignment): void {
    // Everything is being given up.
    if (this.#ended !== undefined) return;
    if (isFull) this.#dropUnnamed([...assigned, ...revoke]);
    const added = assigned.flatMap((message) => {
      if (this.#partitions.has(partitionKey(message.topic_id, message.partition))) return [];
      const partition = new AssignedPartition(message);
      this.#partitions.set(partition.key, partition);
      return partition;
    });
    try {
      if (added.length > 0) this.#settings.onAssigned?.(named(added));
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#begin(added).then(
      () => this.#ready.resolve(),
      (error: unknown) => this.#fail(error),
    );
    if (revoke.length > 0) void this.#giveUp(revoke, epoch);
  }

  /** Of what it has, the coordinator knows nothing: it cannot be its own. */
  #dropUnnamed(known: readonly PartitionMessage[]): void {
    const keys = new Set(known.map(({ topic_id, partition }) => partitionKey(topic_id, partition)));
    const unknown = [...this.#partitions.values()].filter(({ key }) => !keys.has(key));
    if (unknown.length > 0) this.#drop(unknown);
  }

  /** Where nothing is committed, it is found out where to begin. */
  async #begin(partitions: readonly AssignedPartition[]): Promise<void> {
    const { from, autoCommit } = this.#settings;
    const starting = startOffsets(this.#topics, this.#settings, partitions, this.#over);
    for (const partition of partitions) if (partition.position !== undefined) this.#read(partition);
    for await (const { partition, offset } of starting) {
      if (partition.isOver) continue;
      partition.position = offset;
      this.#read(partition);
    }
    // Whoever has the partition next begins there, too, although nothing may have come until then.
    const settled = partitions.filter(({ committed, isOver }) => committed === null && !isOver);
    if (autoCommit && from !== "earliest" && settled.length > 0) {
      await this.#committer.commitPositions(settled).catch(() => {});
    }
  }

  #read(partition: AssignedPartition): void {
    if (!partition.isOver && partition.position !== undefined)
      this.#readers.add(partition, partition.position);
  }

  #arrived(partition: AssignedPartition, link: Link, frame: DataFrame): void {
    if (partition.isOver) link.consumed(frame.batches.length);
    else this.#inbox.put({ partition, link, frame });
  }

  #failed(partition: AssignedPartition, error: unknown): void {
    if (partition.isOver) return;
    const isGone = error instanceof EdgelogError && error.code === "UNKNOWN_TOPIC_OR_PARTITION";
    if (!isGone) {
      this.#fail(error);
      return;
    }
    // The topic has been deleted, or made anew; the coordinator finds out, and takes it away.
    this.#membership.refresh();
    const timer = setTimeout(() => {
      stop();
      this.#read(partition);
    }, READ_AGAIN_MS);
    const stop = onAbort(this.#over, () => clearTimeout(timer));
  }

  /** From now on none of its records is given out. */
  #stop(partition: AssignedPartition): void {
    partition.isOver = true;
    this.#readers.remove(partition);
    for (const { link, frame } of this.#inbox.withdraw((arrival) => arrival.partition === partition)) {
      link.consumed(frame.batches.length);
    }
  }

  async #giveUp(revoke: readonly PartitionMessage[], epoch: number): Promise<void> {
    if (this.#givingUp.has(epoch)) return;
    this.#givingUp.add(epoch);
    try {
      const gone = revoke.flatMap(
        ({ topic_id, partition }) => this.#partitions.get(partitionKey(topic_id, partition)) ?? [],
      );
      for (const partition of gone) this.#stop(partition);
      const isInHand = () => gone.some((partition) => partition === this.#inHand?.partition);
      while (isInHand() && !this.#over.aborted && this.#ended === undefined) await this.#returned.promise;
      await this.#tellRevoked(gone);
      if (gone.some(({ isLost }) => isLost) || this.#ended !== undefined) return;
      // What is sent first is done first: nobody has the partitions before this is committed.
      if (this.#settings.autoCommit) void this.#committer.commitPositions(gone, "once").catch(() => {});
      for (const partition of gone) this.#partitions.delete(partition.key);
      this.#membership.revoked(epoch);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#givingUp.delete(epoch);
    }
  }

  /** Each partition once. Resolves when the application is done with all that it has been told of. */
  async #tellRevoked(partitions: readonly AssignedPartition[]): Promise<void> {
    const untold = partitions.filter(({ isTold, isLost }) => !isTold && !isLost);
    for (const partition of untold) partition.isTold = true;
    if (untold.length > 0) {
      this.#telling = Promise.all([this.#telling, this.#settings.onRevoked?.(named(untold), false)]);
    }
    await this.#telling;
  }

  #lost(): void {
    this.#drop([...this.#partitions.values()]);
  }

  #drop(partitions: readonly AssignedPartition[]): void {
    const told = partitions.filter(({ isLost }) => !isLost);
    for (const partition of partitions) {
      partition.isLost = true;
      this.#stop(partition);
      this.#partitions.delete(partition.key);
    }
    this.#returned.resolve();
    this.#returned = withResolvers<void>();
    if (told.length === 0) return;
    Promise.resolve(this.#settings.onRevoked?.(named(told), true)).catch((error: unknown) =>
      this.#fail(error),
    );
  }

  async #lookForMore(): Promise<void> {
    for (const topic of this.#settings.topics) {
      try {
        const { partitions } = await this.#topics.describe(topic, { signal: this.#over });
        this.#membership.heardOf(topic, partitions);
      } catch {
        // The next look comes in any case.
      }
    }
  }
}

function named(partitions: readonly AssignedPartition[]): TopicPartition[] {
  return partitions.map(({ topic, partition }) => ({ topic, partition }));
}
