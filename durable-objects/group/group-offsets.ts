import type { Failure } from "../../src/model/errors.ts";
import type { TopicId } from "../../src/model/ids.ts";
import {
  GROUP_OFFSETS_PER_PAGE_MAX,
  OFFSET_MAX,
  OFFSET_METADATA_CHARACTERS_MAX,
  OFFSETS_PER_GROUP_MAX,
} from "../../src/model/limits.ts";
import type { LogStorage } from "../partition/storage.ts";
import { type ExpiryRule, Offsets } from "./offsets.ts";
import type {
  CommitOffsetsRequest,
  CommittedOffset,
  CommittedPartition,
  DeletedPartition,
  NamedTopicPartitions,
  OffsetsPage,
  OffsetToCommit,
  PartitionOfTopic,
  TopicPartitions,
} from "./rpc.ts";
import type { GroupContext } from "./settings.ts";

/** What a group has to say about its offsets, whichever protocol its members speak. */
export interface OffsetRules {
  readonly isEmpty: boolean;
  /** Why these must not be committed. */
  commitProblem(request: CommitOffsetsRequest): Failure | undefined;
  isSubscribedTo(topic: string): boolean;
  /** From when their retention counts: each commit, or a time in ms; undefined: they do not expire now. */
  readonly offsetsExpireFrom: number | "commit" | undefined;
}

export const OFFSETS_TIMER = "offsets";

/** The offsets of a group by the group's rules: who may commit, what may be deleted, what expires and when. */
export class GroupOffsets {
  readonly #context: Pick<GroupContext, "clock" | "settings" | "timers">;
  readonly #offsets: Offsets;
  /** Never less than there are. */
  #atMost: number | undefined;

  constructor(storage: LogStorage, context: GroupContext) {
    this.#context = context;
    this.#offsets = new Offsets(storage);
  }

  commit(group: OffsetRules, request: CommitOffsetsRequest): CommittedPartition[] | Failure {
    const problem = group.commitProblem(request);
    if (problem !== undefined) return problem;
    const nowMs = this.#context.clock.now();
    const expiresAtMs = request.retentionMs === undefined ? null : nowMs + request.retentionMs;
    const hasRoom = this.#roomForOneCommit();
    const results = request.offsets.map((offset) => {
      const error = this.#commitError(offset, hasRoom);
      if (error === null) this.#offsets.commit(offset, nowMs, expiresAtMs);
      return { topicId: offset.topicId, partition: offset.partition, error };
    });
    if (expiresAtMs !== null || !this.#context.timers.isSet(OFFSETS_TIMER)) this.schedule(group);
    return results;
  }

  #commitError(committed: OffsetToCommit, hasRoom: () => boolean): CommittedPartition["error"] {
    const { offset, metadata, topicId, partition } = committed;
    if (metadata.length > OFFSET_METADATA_CHARACTERS_MAX) return "OFFSET_METADATA_TOO_LARGE";
    if (!Number.isInteger(offset) || Math.abs(offset) > OFFSET_MAX) return "INVALID_REQUEST";
    if (hasRoom()) this.#atMost = (this.#atMost ?? 0) + 1;
    else if (!this.#offsets.has(topicId, partition)) return "INVALID_COMMIT_OFFSET_SIZE";
    return null;
  }

  /** Whether there is room for one more. Where it seems that there is not, they are counted, once. */
  #roomForOneCommit(): () => boolean {
    let isCounted = false;
    return () => {
      if (!isCounted && (this.#atMost ?? OFFSETS_PER_GROUP_MAX) >= OFFSETS_PER_GROUP_MAX) {
        this.#atMost = this.#offsets.count();
        isCounted = true;
      }
      return (this.#atMost ?? OFFSETS_PER_GROUP_MAX) < OFFSETS_PER_GROUP_MAX;
    };
  }

  /** null: all. */
  fetch(topics: readonly TopicPartitions[] | null): CommittedOffset[] {
    return this.#offsets.fetch(topics);
  }

  page(after: PartitionOfTopic | undefined, limit: number): Pick<OffsetsPage, "offsets" | "isLast"> {
    const most = Math.max(1, Math.min(Math.floor(limit), GROUP_OFFSETS_PER_PAGE_MAX));
    const offsets = this.#offsets.after(after, most + 1);
    return { offsets: offsets.slice(0, most), isLast: offsets.length <= most };
  }

  delete(group: OffsetRules, topics: readonly NamedTopicPartitions[]): DeletedPartition[] {
    return topics.flatMap(({ topicId, topic, partitions }) => {
      const error = group.isSubscribedTo(topic) ? ("GROUP_SUBSCRIBED_TO_TOPIC" as const) : null;
      return partitions.map((partition) => {
        if (error === null) this.#offsets.delete(topicId, partition);
        return { topicId, partition, error };
      });
    });
  }

  topicIds(): TopicId[] {
    return this.#offsets.topics().map(({ topicId }) => topicId);
  }

  forgetTopics(topicIds: readonly TopicId[]): void {
    for (const topicId of topicIds) this.#offsets.forgetTopic(topicId);
  }

  clear(): void {
    this.#offsets.clear();
    this.#atMost = undefined;
    this.#context.timers.cancel(OFFSETS_TIMER);
  }

  /** True if there is nothing left that the group would be kept for. */
  expire(group: OffsetRules): boolean {
    this.#offsets.expire(this.#context.clock.now(), this.#expiryRule(group));
    if (group.isEmpty && this.#offsets.count() === 0) return true;
    this.schedule(group);
    return false;
  }

  /** Never sooner than the check interval: an empty group without offsets stays for so long, too. */
  schedule(group: OffsetRules): void {
    const { offsetsRetentionCheckMs, offsetsRetentionMs } = this.#context.settings;
    const nowMs = this.#context.clock.now();
    const soonestMs = nowMs + offsetsRetentionCheckMs;
    const nextMs =
      this.#offsets.nextExpiryMs(this.#expiryRule(group)) ??
      (group.isEmpty ? soonestMs : nowMs + offsetsRetentionMs);
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
