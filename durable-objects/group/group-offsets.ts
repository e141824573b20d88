import type { Failure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import {
  GROUP_OFFSETS_PER_PAGE_MAX,
  OFFSET_MAX,
  OFFSET_METADATA_CHARACTERS_MAX,
  OFFSETS_PER_GROUP_MAX,
} from "../../src/model/limits.ts";
import type { LogStorage } from "../partition/storage.ts";
import type { TransactionOutcome } from "../transaction/rpc.ts";
import { type ExpiryRule, Offsets } from "./offsets.ts";
import type {
  CommitOffsetsRequest,
  CommitTransactionOffsetsRequest,
  CommittedPartition,
  DeletedPartition,
  FetchedOffset,
  OffsetsPage,
  OffsetsToDelete,
  OffsetToCommit,
  PartitionOfTopic,
  TopicPartitions,
} from "./rpc.ts";
import type { GroupContext } from "./settings.ts";
import { type OpenTransaction, partitionKey, TransactionalOffsets } from "./transactional-offsets.ts";

/** Who commits, and what. */
export interface Committer
  extends Pick<
    CommitOffsetsRequest,
    "memberId" | "instanceId" | "generation" | "knowsMemberEpochs" | "offsets"
  > {
  /** Whether one of the offsets is less than what is committed. */
  setsBack(): boolean;
  /** True: whatever state the group is in. Default false. */
  readonly isTransactional?: boolean;
}

/** What a group has to say about its offsets, whichever protocol its members speak. */
export interface OffsetRules {
  readonly isEmpty: boolean;
  /** Why nothing must be committed. */
  commitProblem(committer: Committer): Failure | undefined;
  isSubscribedTo(topic: string): boolean;
  /** From when their retention counts: each commit, or a time in ms; undefined: nothing expires now. */
  readonly offsetsExpireFrom: number | "commit" | undefined;
}

export const OFFSETS_TIMER = "offsets";

/** The offsets of a group by the group's rules: who may commit, what may be deleted, what expires and when. */
export class GroupOffsets {
  readonly #context: Pick<GroupContext, "clock" | "settings" | "timers">;
  readonly #offsets: Offsets;
  readonly #transactional: TransactionalOffsets;
  /** Never less than there are. */
  #atMost: number | undefined;

  constructor(storage: LogStorage, context: GroupContext) {
    this.#context = context;
    this.#offsets = new Offsets(storage);
    this.#transactional = new TransactionalOffsets(storage);
  }

  commit(group: OffsetRules, request: CommitOffsetsRequest): CommittedPartition[] | Failure {
    const problem = group.commitProblem({ ...request, setsBack: () => this.#setsBack(request.offsets) });
    if (problem !== undefined) return problem;
    const nowMs = this.#context.clock.now();
    const expiresAtMs = request.retentionMs === undefined ? null : nowMs + request.retentionMs;
    const pending = this.#pending();
    const results = this.#each(request.offsets, {
      isThere: (offset) => this.#offsets.has(offset),
      commit: (offset) => {
        this.#offsets.commit(offset, nowMs, expiresAtMs);
        if (pending.has(partitionKey(offset))) this.#transactional.overtake(offset);
      },
    });
    if (expiresAtMs !== null || !this.#context.timers.isSet(OFFSETS_TIMER)) this.schedule(group);
    return results;
  }

  /** Why the group lets nobody of this name commit in a transaction; who gives no name is not asked. */
  transactionProblem(group: OffsetRules, committer: CommitTransactionOffsetsRequest): Failure | undefined {
    const { generation, instanceId, memberId, offsets } = committer;
    if (generation < 0 && memberId === "" && instanceId === null) return undefined;
    return group.commitProblem({
      memberId,
      instanceId,
      generation,
      offsets,
      setsBack: () => this.#setsBack(offsets),
      knowsMemberEpochs: true,
      isTransactional: true,
    });
  }

  #setsBack(offsets: readonly OffsetToCommit[]): boolean {
    return offsets.some((offset) => this.#offsets.isAhead(offset));
  }

  /** The offsets count, or do not, when the transaction is {@link decide}d. */
  commitInTransaction(
    group: OffsetRules,
    request: CommitTransactionOffsetsRequest,
    startedAtMs: number,
  ): CommittedPartition[] | Failure {
    const problem = this.transactionProblem(group, request);
    if (problem !== undefined) return problem;
    const { producerEpoch, producerId } = request;
    const nowMs = this.#context.clock.now();
    const results = this.#each(request.offsets, {
      isThere: (offset) => this.#transactional.has(producerId, offset),
      commit: (offset) => {
        this.#offsets.name(offset);
        this.#transactional.put({ producerId, producerEpoch, startedAtMs }, offset, nowMs);
      },
    });
    if (!this.#context.timers.isSet(OFFSETS_TIMER)) this.schedule(group);
    return results;
  }

  /** The transaction that the producer, in this epoch, has offsets in. */
  openTransaction({
    producerId,
    producerEpoch,
  }: CommitTransactionOffsetsRequest): OpenTransaction | undefined {
    const open = this.#transactional.transactionOf(producerId);
    return open?.producerEpoch === producerEpoch ? open : undefined;
  }

  decide(outcome: TransactionOutcome): void {
    if (this.#transactional.transactionOf(outcome.producerId) !== undefined) {
      this.#transactional.decide(outcome);
    }
  }

  #each(
    offsets: readonly OffsetToCommit[],
    { isThere, commit }: { isThere(offset: OffsetToCommit): boolean; commit(offset: OffsetToCommit): void },
  ): CommittedPartition[] {
    const hasRoom = this.#roomForOneCommit();
    return offsets.map((offset) => {
      const error = this.#commitError(offset, hasRoom, isThere);
      if (error === null) commit(offset);
      return { topicId: offset.topicId, partition: offset.partition, error };
    });
  }

  #commitError(
    committed: OffsetToCommit,
    hasRoom: () => boolean,
    isThere: (offset: OffsetToCommit) => boolean,
  ): CommittedPartition["error"] {
    const { offset, metadata } = committed;
    if (metadata.length > OFFSET_METADATA_CHARACTERS_MAX) return "OFFSET_METADATA_TOO_LARGE";
    if (!Number.isInteger(offset) || Math.abs(offset) > OFFSET_MAX) return "INVALID_REQUEST";
    if (hasRoom()) this.#atMost = (this.#atMost ?? 0) + 1;
    else if (!isThere(committed)) return "INVALID_COMMIT_OFFSET_SIZE";
    return null;
  }

  /** Whether there is room for one more. Where it seems that there is not, they are counted, once. */
  #roomForOneCommit(): () => boolean {
    let isCounted = false;
    return () => {
      if (!isCounted && (this.#atMost ?? OFFSETS_PER_GROUP_MAX) >= OFFSETS_PER_GROUP_MAX) {
        this.#atMost = this.#count();
        isCounted = true;
      }
      return (this.#atMost ?? OFFSETS_PER_GROUP_MAX) < OFFSETS_PER_GROUP_MAX;
    };
  }

  #count(): number {
    return this.#offsets.count() + this.#transactional.count();
  }

  /** null: all. `requireStable`: as in FetchOffsetsRequest. */
  fetch(topics: readonly TopicPartitions[] | null, requireStable = false): FetchedOffset[] {
    const committed = this.#offsets.fetch(topics);
    const unstable = requireStable ? this.#transactional.fetch(topics) : [];
    const pending = new Set(unstable.map(partitionKey));
    return [...committed.filter((offset) => !pending.has(partitionKey(offset))), ...unstable];
  }

  page(after: PartitionOfTopic | undefined, limit: number): Pick<OffsetsPage, "offsets" | "isLast"> {
    const most = Math.max(1, Math.min(Math.floor(limit), GROUP_OFFSETS_PER_PAGE_MAX));
    const offsets = this.#offsets.after(after, most + 1);
    return { offsets: offsets.slice(0, most), isLast: offsets.length <= most };
  }

  delete(group: OffsetRules, topics: readonly OffsetsToDelete[]): DeletedPartition[] {
    const pending = this.#pending();
    return this.#removing(group, () =>
      topics.flatMap(({ topicId, topic, partitions }) => {
        const error = group.isSubscribedTo(topic) ? ("GROUP_SUBSCRIBED_TO_TOPIC" as const) : null;
        return (partitions ?? this.#partitionsOf(topicId)).map((partition) => {
          if (error === null) {
            this.#offsets.delete(topicId, partition);
            const key = { topicId, partition };
            if (pending.has(partitionKey(key))) this.#transactional.delete(key);
          }
          return { topicId, partition, error };
        });
      }),
    );
  }

  /** A group without members is kept for its offsets alone: once the last one is taken away, it goes at the next check. */
  #removing<T>(group: OffsetRules, remove: () => T): T {
    const had = !this.#offsets.isEmpty;
    const removed = remove();
    if (had && this.#offsets.isEmpty && group.isEmpty) this.schedule(group);
    return removed;
  }

  #partitionsOf(topicId: TopicId): number[] {
    const pending = this.#transactional.partitions().filter((each) => each.topicId === topicId);
    const partitions = [...this.#offsets.partitionsOf(topicId), ...pending.map(({ partition }) => partition)];
    return [...new Set(partitions)].sort((a, b) => a - b);
  }

  /** The partitions that transactions have offsets of. */
  #pending(): ReadonlySet<string> {
    return new Set(this.#transactional.partitions().map(partitionKey));
  }

  topicIds(): TopicId[] {
    return this.#offsets.topics().map(({ topicId }) => topicId);
  }

  forgetTopics(group: OffsetRules, topicIds: readonly TopicId[]): void {
    this.#removing(group, () => {
      for (const topicId of topicIds) {
        this.#offsets.forgetTopic(topicId);
        this.#transactional.forgetTopic(topicId);
      }
    });
  }

  clear(): void {
    this.#offsets.clear();
    this.#transactional.clear();
    this.#atMost = undefined;
    this.#context.timers.cancel(OFFSETS_TIMER);
  }

  /** True if there is nothing left that the group would be kept for. */
  expire(group: OffsetRules): boolean {
    const rule = this.#expiryRule(group);
    if (rule !== undefined) this.#offsets.expire(this.#context.clock.now(), rule);
    if (group.isEmpty && this.#count() === 0) return true;
    this.schedule(group);
    return false;
  }

  /** Never sooner than the check interval: an empty group without offsets stays for so long, too. */
  schedule(group: OffsetRules): void {
    this.#schedule(group, this.#context.clock.now() + this.#context.settings.offsetsRetentionCheckMs);
  }

  /** The object has woken: what is due is due now, or whoever wakes it again and again would put it off for ever. */
  restore(group: OffsetRules): void {
    this.#schedule(group, this.#context.clock.now());
  }

  #schedule(group: OffsetRules, soonestMs: number): void {
    const { offsetsRetentionCheckMs, offsetsRetentionMs } = this.#context.settings;
    const nowMs = this.#context.clock.now();
    const rule = this.#expiryRule(group);
    let nextMs = nowMs + offsetsRetentionCheckMs;
    if (rule !== undefined) {
      const emptyUntilMs = rule.fromMs === undefined ? soonestMs : rule.fromMs + offsetsRetentionCheckMs;
      nextMs =
        this.#offsets.nextExpiryMs(rule) ?? (group.isEmpty ? emptyUntilMs : nowMs + offsetsRetentionMs);
    }
    this.#context.timers.set(OFFSETS_TIMER, Math.max(nextMs, soonestMs));
  }

  #expiryRule(group: OffsetRules): ExpiryRule | undefined {
    const from = group.offsetsExpireFrom;
    if (from === undefined) return undefined;
    return {
      fromMs: from === "commit" ? undefined : from,
      retentionMs: this.#context.settings.offsetsRetentionMs,
      isKept: (topic) => group.isSubscribedTo(topic),
    };
  }
}
