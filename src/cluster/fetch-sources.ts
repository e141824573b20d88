import type { LogBounds } from "../../durable-objects/partition/rpc.ts";
import { mapAtOnce } from "../model/at-once.ts";
import type { Failure } from "../model/errors.ts";
import { inTime } from "../model/in-time.ts";
import type { Isolation } from "../model/isolation.ts";
import {
  KAFKA_NOTICE_SOCKET_UNUSED_MS_MAX,
  KAFKA_NOTICE_SOCKETS_MAX,
  KAFKA_PARTITIONS_AT_ONCE,
  READ_POLL_MS,
} from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import type { Cluster, TopicReference } from "./cluster.ts";
import { NoticeSocket } from "./notice-socket.ts";

/** A partition at which a Fetch waits. */
export interface Waiting {
  readonly topic: Topic;
  readonly partition: number;
  readonly isolation: Isolation;
  /** Where what it may read has ended so far. */
  readonly offset: number;
}

/**
 * The partitions that one connection reads from: what it knows of their ends without asking. Each one that it waits for
 * has a notice socket, which the leader can leave open and sleep; it stays open from Fetch to Fetch, so that a consumer at
 * the log end asks nobody anything.
 */
export class FetchSources {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  readonly #sources = new Map<string, Source>();
  /** By name and by id: topics with a partition that is being watched and would tell of their end. */
  readonly #topics = new Map<string, { readonly topic: Topic; readonly notices: NoticeSocket }>();
  #sweptMs = 0;
  #changed = Promise.withResolvers<void>();

  constructor(cluster: Cluster, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake());
  }

  /** The topic; without asking while a partition is watched that would tell of its end. */
  async topic(reference: TopicReference): Promise<Topic | Failure> {
    const known = this.#topics.get(typeof reference === "string" ? reference : reference.id);
    return known?.notices.isOpen ? known.topic : this.#cluster.topic(reference);
  }

  /** The bounds of a partition of which such a reader has read all, if that is certain without asking. */
  boundsAtEnd({ topic, partition, isolation, offset }: Waiting): LogBounds | undefined {
    const source = this.#sources.get(keyOf(topic, partition));
    if (source === undefined) return undefined;
    source.usedMs = Date.now();
    const { bounds, notices } = source;
    const last = notices?.isOpen === true ? notices.last : undefined;
    if (last === undefined || bounds === undefined || notices?.readableEnd(isolation) !== offset)
      return undefined;
    const known = isolation === "read_committed" ? bounds.lastStableOffset : bounds.highWatermark;
    if (known !== offset) return undefined;
    // The log may have lost its beginning since: by retention, or at another client's wish.
    const { logStartOffset, logEndOffset, lastStableOffset } = last;
    return { ...bounds, logStartOffset, highWatermark: logEndOffset, lastStableOffset };
  }

  /** What the last read of the partition has found; undefined: it is not known. */
  lastBounds(topic: Topic, partition: number): LogBounds | undefined {
    return this.#sources.get(keyOf(topic, partition))?.bounds;
  }

  /** What a read of the partition has found. */
  learned(topic: Topic, partition: number, bounds: LogBounds): void {
    this.#source(keyOf(topic, partition)).bounds = bounds;
  }

  /** Whether a read of one of them may find something now; false when the time is up or the client gone. */
  async moved(waiting: readonly Waiting[], waitMs: number): Promise<boolean> {
    const deadlineMs = Date.now() + waitMs;
    this.#sweep();
    const watched = await mapAtOnce(waiting, KAFKA_PARTITIONS_AT_ONCE, (one) => this.#watch(one));
    const looksAgain = watched.includes(undefined);
    for (;;) {
      if (this.#signal.aborted) return false;
      const hasMoved = waiting.some(({ offset, isolation }, index) => {
        const notices = watched[index];
        return notices !== undefined && (!notices.isOpen || isElsewhere(notices, offset, isolation));
      });
      if (hasMoved) return true;
      const leftMs = deadlineMs - Date.now();
      if (leftMs <= 0) return false;
      const isChanged = await this.#changedWithin(looksAgain ? Math.min(leftMs, READ_POLL_MS) : leftMs);
      if (!isChanged) return looksAgain;
    }
  }

  close(): void {
    for (const { notices } of this.#sources.values()) notices?.close();
    this.#sources.clear();
    this.#topics.clear();
  }

  #source(key: string): Source {
    const known = this.#sources.get(key);
    if (known !== undefined) {
      known.usedMs = Date.now();
      return known;
    }
    const source = { usedMs: Date.now(), bounds: undefined, opening: undefined, notices: undefined };
    this.#sources.set(key, source);
    return source;
  }

  /** undefined if the partition takes no socket now. */
  async #watch({ topic, partition }: Waiting): Promise<NoticeSocket | undefined> {
    const source = this.#source(keyOf(topic, partition));
    const { notices } = source;
    if (notices?.isOpen) return notices;
    // One that closes as soon as it is opened is not opened again and again.
    if (notices !== undefined && Date.now() - notices.openedMs < READ_POLL_MS) return undefined;
    source.notices = undefined;
    if (this.#openSockets() >= KAFKA_NOTICE_SOCKETS_MAX || this.#signal.aborted) return undefined;
    source.opening ??= this.#open(topic, partition);
    const opened = await source.opening;
    source.opening = undefined;
    if (this.#signal.aborted) opened?.close();
    else source.notices = opened;
    // Deleting a topic ends the sockets of the partitions that have been written to; the others know nothing of it.
    if (opened !== undefined && (source.bounds?.highWatermark ?? 0) > 0) {
      this.#topics.set(topic.name, { topic, notices: opened });
      this.#topics.set(topic.id, { topic, notices: opened });
    }
    return opened;
  }

  async #open(topic: Topic, partition: number): Promise<NoticeSocket | undefined> {
    const leader = this.#cluster.partition(topic, partition);
    try {
      const notices = await NoticeSocket.open(leader, topic.version);
      if (notices !== undefined) notices.onChange = () => this.#wake();
      return notices;
    } catch (error) {
      console.warn("could not open a notice socket:", error);
      this.#cluster.dropPartition(topic, partition, leader);
      return undefined;
    }
  }

  #openSockets(): number {
    let count = 0;
    for (const { notices } of this.#sources.values()) if (notices?.isOpen) count++;
    return count;
  }

  #sweep(): void {
    const nowMs = Date.now();
    if (nowMs - this.#sweptMs < KAFKA_NOTICE_SOCKET_UNUSED_MS_MAX / 4) return;
    this.#sweptMs = nowMs;
    for (const [key, { usedMs, notices }] of this.#sources) {
      if (nowMs - usedMs < KAFKA_NOTICE_SOCKET_UNUSED_MS_MAX) continue;
      notices?.close();
      this.#sources.delete(key);
    }
    for (const [key, { notices }] of this.#topics) if (!notices.isOpen) this.#topics.delete(key);
  }

  #changedWithin(ms: number): Promise<boolean> {
    const isChanged = this.#changed.promise.then(() => true);
    return inTime(isChanged, ms, () => false);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

interface Source {
  usedMs: number;
  bounds: LogBounds | undefined;
  /** One at a time, also of a partition that a Fetch names twice. */
  opening: Promise<NoticeSocket | undefined> | undefined;
  notices: NoticeSocket | undefined;
}

/** It is known to end elsewhere than there. */
function isElsewhere(notices: NoticeSocket, offset: number, isolation: Isolation): boolean {
  return (notices.readableEnd(isolation) ?? offset) !== offset;
}

function keyOf(topic: Topic, partition: number): string {
  return `${topic.id}/${partition}`;
}
