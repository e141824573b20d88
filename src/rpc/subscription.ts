import { RpcTarget } from "cloudflare:workers";
import type { Cluster } from "../cluster/cluster.ts";
import { failure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import { FEED_WINDOW_BYTES } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import { FeedMerge } from "../subscribe/feed-merge.ts";
import type { DataFrame } from "../subscribe/frame.ts";
import { partitionFeed } from "../subscribe/partition-feed.ts";
import { windowOf } from "../subscribe/socket-bridge.ts";
import type { StartOffset } from "../subscribe/start-offsets.ts";
import { answering, serviceError } from "./errors.ts";
import { nextOptions } from "./options.ts";
import { takeRecords } from "./records.ts";
import type { ServiceSubscription, SubscribedRecords } from "./service.ts";

/** The caller pulls; the feeds behind it read no more ahead than their windows. It ends when its stub is disposed of. */
export class ServiceFeed extends RpcTarget implements ServiceSubscription {
  readonly #merge = new FeedMerge();
  readonly #over = new AbortController();
  /** What is left of a frame that was too much for one answer. */
  #rest: DataFrame | undefined;
  #isAsked = false;

  constructor(
    cluster: Cluster,
    topic: Pick<Topic, "id">,
    starts: readonly StartOffset[],
    isolation: Isolation,
  ) {
    super();
    const windowBytes = windowOf(FEED_WINDOW_BYTES.most, starts.length);
    const { signal } = this.#over;
    for (const start of starts) {
      this.#merge.add(partitionFeed(cluster, { topic, ...start, isolation, windowBytes, signal }));
    }
  }

  async next(options: { readonly maxWaitMs?: number } = {}): Promise<SubscribedRecords | undefined> {
    if (this.#isAsked) {
      throw serviceError(failure("INVALID_REQUEST", "the call of next() before this one still waits"));
    }
    this.#isAsked = true;
    try {
      return await answering(async () => this.#next(nextOptions(options).maxWaitMs));
    } finally {
      this.#isAsked = false;
    }
  }

  [Symbol.dispose](): void {
    this.#over.abort();
    this.#rest = undefined;
    this.#merge.interrupt();
  }

  async #next(maxWaitMs: number | undefined): Promise<SubscribedRecords | undefined> {
    if (this.#rest !== undefined) return this.#taken(this.#rest);
    const deadlineMs = maxWaitMs === undefined ? undefined : Date.now() + maxWaitMs;
    while (!this.#over.signal.aborted) {
      const leftMs = deadlineMs === undefined ? undefined : Math.max(0, deadlineMs - Date.now());
      const event = await this.#merge.next(leftMs);
      if (event === undefined) return undefined;
      if (event.kind === "frame") return this.#taken(event.frame);
      if (event.kind === "failed") {
        this[Symbol.dispose]();
        throw serviceError(event.failure, event.bounds);
      }
    }
    return undefined;
  }

  #taken(frame: DataFrame): SubscribedRecords {
    const { partition, highWatermark } = frame;
    const { records, next } = takeRecords(frame.batches, frame.from, frame.next);
    this.#rest = next < frame.next ? { ...frame, from: next } : undefined;
    return { partition, records, next, highWatermark };
  }
}
