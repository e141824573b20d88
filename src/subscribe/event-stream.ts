/** A subscription as server-sent events. Made as the connection takes it: nothing is read before it is asked for. */

import type { Cluster } from "../cluster/cluster.ts";
import { type Failure, failure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import { EVENT_STREAM_HEARTBEAT_MS, EVENT_STREAM_RETRY_MS, FEED_WINDOW_BYTES } from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import { FeedMerge } from "./feed-merge.ts";
import type { DataFrame } from "./frame.ts";
import { encodeJsonFrame } from "./json-frame.ts";
import { type FeedEvent, partitionFeed } from "./partition-feed.ts";
import { formatPositions } from "./position.ts";
import { encodeCaughtUp, encodeError } from "./protocol.ts";
import type { RecordJsonOptions } from "./record-json.ts";
import { windowOf } from "./socket-bridge.ts";
import type { StartOffset } from "./start-offsets.ts";

export interface EventStreamOptions extends RecordJsonOptions {
  readonly topic: Topic;
  readonly starts: readonly StartOffset[];
  readonly isolation: Isolation;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
}

/** The body of a `text/event-stream`. */
export function eventStream(cluster: Cluster, options: EventStreamOptions): ReadableStream<Uint8Array> {
  const events = new EventStream(cluster, options);
  return new ReadableStream(
    {
      async pull(controller) {
        const chunk = await events.next();
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel: () => events.close(),
    },
    { highWaterMark: 0 },
  );
}

const encoder = new TextEncoder();

class EventStream {
  /** Partition → position. */
  readonly #positions: Map<number, number>;
  readonly #json: RecordJsonOptions;
  readonly #merge = new FeedMerge();
  readonly #over = new AbortController();
  /** What is left of a frame whose text was too long for one event. */
  #rest: DataFrame | undefined;
  #begun = false;

  constructor(cluster: Cluster, { topic, starts, isolation, value, signal }: EventStreamOptions) {
    this.#positions = new Map(starts.map(({ partition, offset }) => [partition, offset]));
    this.#json = { value };
    const windowBytes = windowOf(FEED_WINDOW_BYTES.most, starts.length);
    for (const start of starts) {
      const wanted = { topic, ...start, isolation, windowBytes, signal: this.#over.signal };
      this.#merge.add(partitionFeed(cluster, wanted));
    }
    signal.addEventListener("abort", () => this.close());
  }

  /** The next bytes, as soon as there are any; undefined when the stream is over. */
  async next(): Promise<Uint8Array | undefined> {
    if (!this.#begun) {
      this.#begun = true;
      return encoder.encode(`retry: ${EVENT_STREAM_RETRY_MS}\n\n`);
    }
    if (this.#rest !== undefined) return this.#frame(this.#rest);
    if (this.#over.signal.aborted) return undefined;
    const event = await this.#merge.next(EVENT_STREAM_HEARTBEAT_MS);
    if (event !== undefined) return this.#event(event);
    return this.#over.signal.aborted ? undefined : encoder.encode(":\n\n");
  }

  close(): void {
    this.#over.abort();
    this.#rest = undefined;
    this.#merge.interrupt();
  }

  #event(event: FeedEvent): Uint8Array {
    if (event.kind === "frame") return this.#frame(event.frame);
    const { partition } = event;
    if (event.kind === "failed") return this.#failed(event.failure, { partition, ...event.bounds });
    return this.#written(encodeCaughtUp(partition, event.next, event.highWatermark));
  }

  #frame(frame: DataFrame): Uint8Array {
    const { partition } = frame;
    const json = encodeJsonFrame(frame, this.#json);
    if ("error" in json) return this.#failed(json, { partition });
    this.#rest = json.next < frame.next ? { ...frame, from: json.next } : undefined;
    this.#positions.set(partition, json.next);
    return this.#written(json.text);
  }

  #failed(problem: Failure, about: Parameters<typeof encodeError>[1]): Uint8Array {
    this.close();
    return this.#written(encodeError(failure(problem.error, problem.message), about));
  }

  #written(message: string): Uint8Array {
    return encoder.encode(`id: ${formatPositions(this.#positions)}\ndata: ${message}\n\n`);
  }
}
