/**
 * One partition from one position on, without gap or repeat, as the Worker reads it: R2 and what else the leader does not
 * serve by socket through {@link Cluster.read}, then the leader's socket; back again when the position falls into R2.
 */

import type { LogBounds } from "../../durable-objects/partition/rpc.ts";
import { EARLIEST_LOCAL_TIMESTAMP } from "../../durable-objects/partition/rpc.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { visibleBatches } from "../log/committed-batches.ts";
import { EdgelogError, errorRow, type Failure, failure, isFailure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import { FEED_RETRIES_MAX, FEED_RETRY_MS } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import type { DataFrame } from "./frame.ts";
import { connectToLeader } from "./leader-connection.ts";
import { LeaderSocket } from "./leader-socket.ts";
import type { ErrorMessage } from "./protocol.ts";

export type FeedEvent =
  | { readonly kind: "frame"; readonly partition: number; readonly frame: DataFrame }
  /** Once: all of the log as it was then has been given. */
  | {
      readonly kind: "caught_up";
      readonly partition: number;
      readonly next: number;
      readonly highWatermark: number;
    }
  /** The last event: the feed cannot go on. */
  | {
      readonly kind: "failed";
      readonly partition: number;
      readonly failure: Failure;
      readonly bounds: Partial<LogBounds>;
    };

export interface FeedOptions {
  /** By id: a topic that was recreated under the same name is another one. */
  readonly topic: Pick<Topic, "id">;
  readonly partition: number;
  readonly offset: number;
  readonly isolation: Isolation;
  /** The offset was the log start: if that has moved on, so does the feed. */
  readonly isLogStart: boolean;
  /** Credit that the leader has, and what one read of R2 asks for: the feed holds about so much. */
  readonly windowBytes: number;
  readonly signal: AbortSignal;
}

export async function* partitionFeed(
  cluster: Cluster,
  options: FeedOptions,
): AsyncGenerator<FeedEvent, void, undefined> {
  const { partition, signal } = options;
  const feed = new Feed(cluster, options);
  for (let failures = 0; ; failures++) {
    const before = feed.offset;
    let problem: Problem | undefined;
    try {
      problem = yield* feed.follow();
    } catch (error) {
      problem = unexpected(error);
    }
    if (signal.aborted) return;
    if (feed.offset > before) failures = 0;
    if (problem !== undefined && feed.moveToLogStart(problem)) continue;
    // A socket that ended for no reason of its own, or fell into R2: on from where it was.
    if (problem !== undefined && (isFinal(problem) || failures >= FEED_RETRIES_MAX)) {
      const { error, message, ...bounds } = problem;
      yield { kind: "failed", partition, failure: failure(error, message), bounds };
      return;
    }
    if (problem !== undefined || failures > 0) await backOff(failures, signal);
  }
}

type Problem = Failure & Partial<LogBounds>;

class Feed {
  readonly #cluster: Cluster;
  readonly #options: FeedOptions;
  #isCaughtUp = false;
  #hasRead = false;
  offset: number;

  constructor(cluster: Cluster, options: FeedOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.offset = options.offset;
  }

  /** Retention may be faster than the first read. False if that is not the problem. */
  moveToLogStart({ error, logStartOffset }: Problem): boolean {
    if (error !== "OFFSET_OUT_OF_RANGE" || !this.#options.isLogStart || this.#hasRead) return false;
    if (logStartOffset === undefined || logStartOffset <= this.offset) return false;
    this.offset = logStartOffset;
    return true;
  }

  /** From the offset on until something ends it: a problem, or undefined if trying again is all there is to do. */
  async *follow(): AsyncGenerator<FeedEvent, Problem | undefined, undefined> {
    const { topic, partition, isolation, windowBytes, signal } = this.#options;
    const subscription = {
      partition,
      offset: this.offset,
      creditBytes: windowBytes,
      format: "binary",
      isolation,
    } as const;
    const answer = await connectToLeader(this.#cluster, topic, subscription);
    if (isFailure(answer)) return answer;
    if (answer.kind === "remote") return yield* this.#readUntilLocal();
    const socket = new LeaderSocket(answer.webSocket);
    const hangUp = () => socket.close();
    signal.addEventListener("abort", hangUp);
    if (signal.aborted) hangUp();
    try {
      return yield* this.#listen(socket);
    } finally {
      signal.removeEventListener("abort", hangUp);
      socket.close();
    }
  }

  async *#listen(socket: LeaderSocket): AsyncGenerator<FeedEvent, Problem | undefined, undefined> {
    const { partition } = this.#options;
    for (;;) {
      const event = await socket.next();
      if (event.kind === "closed") return event.error === undefined ? undefined : problemOf(event.error);
      if (event.kind === "caught_up") {
        if (!this.#isCaughtUp) {
          const { next, highWatermark } = event;
          this.#isCaughtUp = true;
          yield { kind: "caught_up", partition, next, highWatermark };
        }
        continue;
      }
      // A gap cannot be: but if it is, nobody downstream shall take it for none.
      if (event.frame.from !== this.offset) return undefined;
      this.offset = event.frame.next;
      this.#hasRead = true;
      yield { kind: "frame", partition, frame: event.frame };
      // Who asked for the next one has done with this one.
      if (event.frame.batches.length > 0) socket.credit(event.frame.batches.length);
    }
  }

  async *#readUntilLocal(): AsyncGenerator<FeedEvent, Problem | undefined, undefined> {
    const { topic, partition, isolation, windowBytes, signal } = this.#options;
    const local = await this.#cluster.listOffsets(topic, partition, EARLIEST_LOCAL_TIMESTAMP);
    if (isFailure(local)) return local;
    while (this.offset < local.offset && !signal.aborted) {
      const from = this.offset;
      const answer = await this.#cluster.read(topic, partition, {
        offset: from,
        maxBytes: windowBytes,
        isolation,
      });
      if (isFailure(answer)) return answer;
      const { highWatermark, lastStableOffset } = answer;
      const { batches, next } = visibleBatches(answer, from);
      // The leader waits for more, wherever that is.
      if (isolation === "read_committed" && from >= lastStableOffset) return undefined;
      if (next <= from) return failure("UNKNOWN_SERVER_ERROR", `nothing was read at offset ${from}`);
      this.offset = next;
      this.#hasRead = true;
      yield { kind: "frame", partition, frame: { partition, from, next, highWatermark, batches } };
    }
    return undefined;
  }
}

/** A topic that is gone does not come back, though the registry says that producers should look again. */
function isFinal({ error }: Failure): boolean {
  return !errorRow(error).retriable || error === "UNKNOWN_TOPIC_ID" || error === "UNKNOWN_TOPIC_OR_PARTITION";
}

/** A batch that is torn, or a socket that breaks while it is used. */
function unexpected(error: unknown): Failure {
  if (error instanceof EdgelogError) return error.toFailure();
  console.error("a partition could not be followed:", error);
  return failure("UNKNOWN_SERVER_ERROR");
}

function problemOf({
  error,
  log_start_offset: logStartOffset,
  high_watermark: highWatermark,
}: ErrorMessage): Problem {
  return {
    ...failure(error.code, error.message),
    ...(logStartOffset !== undefined && { logStartOffset }),
    ...(highWatermark !== undefined && { highWatermark }),
  };
}

function backOff(failures: number, signal: AbortSignal): Promise<void> {
  const ms = Math.min(FEED_RETRY_MS.first * 2 ** failures, FEED_RETRY_MS.most) * (0.5 + Math.random() / 2);
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
