/**
 * A subscriber's WebSocket that ends in the Worker: several partitions on one socket, or one that begins in R2. To the
 * client it is the same as one that ends in a partition.
 */

import type { LogBounds } from "../../durable-objects/partition/rpc.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { batchHeaders, sliceFrom } from "../log/batch-header.ts";
import { type Failure, failure, isFailure } from "../model/errors.ts";
import {
  FEED_WINDOW_BYTES,
  SUBSCRIBER_CREDIT_BYTES_MAX,
  SUBSCRIBER_FRAME_BYTES_MAX,
  SUBSCRIPTIONS_PER_SOCKET_MAX,
} from "../model/limits.ts";
import type { Topic } from "../model/topic.ts";
import { FeedMerge } from "./feed-merge.ts";
import { type DataFrame, encodeFrame } from "./frame.ts";
import { encodeJsonFrame } from "./json-frame.ts";
import type { FrameFormat } from "./leader-request.ts";
import { type FeedEvent, partitionFeed } from "./partition-feed.ts";
import {
  closeCodeOf,
  encodeCaughtUp,
  encodeError,
  type PartitionStart,
  PING,
  PONG,
  parseClientMessage,
} from "./protocol.ts";
import { startOffsets } from "./start-offsets.ts";

export interface BridgeOptions {
  readonly topic: Topic;
  readonly format: FrameFormat;
  readonly creditBytes: number;
  /** Empty: the client will send `subscribe`. */
  readonly starts: readonly PartitionStart[];
  /** The client may subscribe to (more) partitions by message. */
  readonly takesSubscribe: boolean;
}

/** Takes the server's end of a new pair, which it accepts; lives as long as the socket does. */
export class SocketBridge {
  readonly #cluster: Cluster;
  readonly #socket: WebSocket;
  readonly #options: BridgeOptions;
  readonly #merge = new FeedMerge();
  readonly #over = new AbortController();
  readonly #partitions = new Set<number>();
  /** Subscribing takes looking up; messages that come meanwhile wait for it. */
  #subscribing: Promise<void> = Promise.resolve();
  #credit: number;
  #creditCame: () => void = () => {};

  constructor(cluster: Cluster, socket: WebSocket, options: BridgeOptions) {
    this.#cluster = cluster;
    this.#socket = socket;
    this.#options = options;
    this.#credit = options.creditBytes;
    socket.addEventListener("message", ({ data }) => this.#received(data));
    socket.addEventListener("close", () => this.#close(1000));
    socket.addEventListener("error", () => this.#close(1011));
    socket.accept();
    this.#subscribe(options.starts);
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (!this.#over.signal.aborted) {
        const event = await this.#merge.next();
        if (event !== undefined) await this.#pass(event);
      }
    } catch (error) {
      if (this.#over.signal.aborted) return;
      console.error("a subscriber's socket broke:", error);
      this.#fail(failure("UNKNOWN_SERVER_ERROR"));
    }
  }

  async #pass(event: FeedEvent): Promise<void> {
    const { partition } = event;
    if (event.kind === "caught_up") this.#send(encodeCaughtUp(partition, event.next, event.highWatermark));
    else if (event.kind === "failed") this.#fail(event.failure, { partition, ...event.bounds });
    else await this.#passFrame(event.frame);
  }

  /** In pieces that fit the credit, as the leader itself would have made them. */
  async #passFrame(frame: DataFrame): Promise<void> {
    const { signal } = this.#over;
    for (let from = frame.from; from < frame.next; ) {
      while (this.#credit <= 0 && !signal.aborted) await this.#moreCredit();
      if (signal.aborted) return;
      const piece = pieceOf({ ...frame, from }, Math.min(this.#credit, SUBSCRIBER_FRAME_BYTES_MAX));
      if (this.#options.format === "binary") {
        this.#credit -= piece.batches.length;
        this.#send(encodeFrame(piece));
        from = piece.next;
        continue;
      }
      const value = this.#options.format === "json-values" ? "json" : undefined;
      const json = encodeJsonFrame(piece, { value });
      if ("error" in json) {
        this.#fail(json, { partition: frame.partition });
        return;
      }
      this.#credit -= json.batchBytes;
      this.#send(json.text);
      from = json.next;
    }
  }

  #moreCredit(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#creditCame = resolve;
    return promise;
  }

  #received(data: unknown): void {
    if (data === PING) {
      this.#send(PONG);
      return;
    }
    const message = parseClientMessage(typeof data === "string" ? data : new Uint8Array());
    if (isFailure(message)) {
      this.#fail(message);
      return;
    }
    if (message.type === "credit") this.#grant(message.bytes);
    else if (!this.#options.takesSubscribe) this.#fail(ALREADY_STARTED);
    else {
      if (message.credit_bytes !== undefined) this.#grant(message.credit_bytes);
      this.#subscribe(message.partitions);
    }
  }

  #grant(bytes: number): void {
    if (this.#credit + bytes > SUBSCRIBER_CREDIT_BYTES_MAX) {
      const problem = `credit may add up to ${SUBSCRIBER_CREDIT_BYTES_MAX} bytes; this socket has ${this.#credit} left.`;
      this.#fail(failure("INVALID_REQUEST", problem));
      return;
    }
    this.#credit += bytes;
    this.#creditCame();
  }

  #subscribe(starts: readonly PartitionStart[]): void {
    const problem = this.#claim(starts);
    if (problem !== undefined) {
      this.#fail(problem);
      return;
    }
    this.#subscribing = this.#subscribing
      .then(() => this.#begin(starts))
      .catch((error) => {
        console.error("a subscription could not begin:", error);
        this.#fail(failure("UNKNOWN_SERVER_ERROR"));
      });
  }

  #claim(starts: readonly PartitionStart[]): Failure | undefined {
    const { topic } = this.#options;
    if (this.#partitions.size + starts.length > SUBSCRIPTIONS_PER_SOCKET_MAX) {
      return failure(
        "INVALID_REQUEST",
        `At most ${SUBSCRIPTIONS_PER_SOCKET_MAX} partitions fit on one socket; open another.`,
      );
    }
    for (const { partition } of starts) {
      if (partition >= topic.partitions) {
        return failure(
          "UNKNOWN_TOPIC_OR_PARTITION",
          `Topic ${topic.name} has ${topic.partitions} partitions, counted from 0: there is no partition ${partition}.`,
        );
      }
      if (this.#partitions.has(partition)) {
        return failure("INVALID_REQUEST", `This socket has partition ${partition} already.`);
      }
      this.#partitions.add(partition);
    }
    return undefined;
  }

  async #begin(starts: readonly PartitionStart[]): Promise<void> {
    const { topic } = this.#options;
    const offsets = await startOffsets(this.#cluster, topic, starts, "unchecked");
    if (isFailure(offsets)) {
      this.#fail(offsets, offsets);
      return;
    }
    const windowBytes = windowOf(this.#credit, this.#partitions.size);
    const { signal } = this.#over;
    for (const start of offsets) {
      this.#merge.add(partitionFeed(this.#cluster, { topic, ...start, windowBytes, signal }));
    }
  }

  #send(data: string | Uint8Array): void {
    if (!this.#over.signal.aborted) this.#socket.send(data);
  }

  #fail(problem: Failure, about: { partition?: number } & Partial<LogBounds> = {}): void {
    const { error, message } = problem;
    this.#send(encodeError({ error, message }, about));
    this.#close(closeCodeOf(error), error);
  }

  #close(code: number, reason?: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#merge.interrupt();
    this.#creditCame();
    try {
      this.#socket.close(code, reason);
    } catch {
      // The client was faster.
    }
  }
}

const ALREADY_STARTED = failure(
  "INVALID_REQUEST",
  "This socket carries the partition it was opened for; to subscribe by message, open one without partition= and offset=.",
);

/** What each leader may send ahead, if all partitions of a client share what the client allows when it subscribes. */
export function windowOf(creditBytes: number, partitions: number): number {
  const share = Math.floor(creditBytes / Math.max(partitions, 1));
  return Math.min(Math.max(share, FEED_WINDOW_BYTES.least), FEED_WINDOW_BYTES.most);
}

/** The frame's first whole batches: at most so many bytes, but at least one. */
function pieceOf(frame: DataFrame, bytesMax: number): DataFrame {
  const batches = sliceFrom(frame.batches, frame.from, bytesMax);
  let next = frame.from;
  for (const { header } of batchHeaders(batches)) next = Math.min(header.nextOffset, frame.next);
  const isRest = next <= frame.from;
  return { ...frame, batches, next: isRest ? frame.next : next };
}
