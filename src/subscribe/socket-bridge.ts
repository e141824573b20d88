/**
 * A subscriber's WebSocket that ends in the Worker: several partitions on one socket, or one that begins in R2. To the
 * client it is the same as one that ends in a partition. What it has been sent and has not credited counts against the
 * same budget of the isolate; one frame is always sent, so that nobody waits for those who read nothing.
 */

import type { LogBounds } from "../../durable-objects/partition/rpc.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { batchHeaders, sliceFrom } from "../log/batch-header.ts";
import { type Failure, failure, isFailure } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import {
  FEED_WINDOW_BYTES,
  SUBSCRIBER_CREDIT_BYTES_MAX,
  SUBSCRIBER_FRAME_BYTES_MAX,
  SUBSCRIPTIONS_PER_SOCKET_MAX,
} from "../model/limits.ts";
import { noSuchPartition, type Topic } from "../model/topic.ts";
import { FeedMerge } from "./feed-merge.ts";
import { type DataFrame, encodeFrame } from "./frame.ts";
import { encodeJsonFrame } from "./json-frame.ts";
import type { FrameFormat } from "./leader-request.ts";
import { type FeedEvent, partitionFeed } from "./partition-feed.ts";
import {
  CREDIT_DUE,
  closeCodeOf,
  encodeCaughtUp,
  encodeError,
  encodeUnsubscribed,
  type PartitionStart,
  PING,
  PONG,
  parseClientMessage,
} from "./protocol.ts";
import { startOffsets } from "./start-offsets.ts";
import { type BudgetShare, isolateBudget, type UnsentBudget } from "./unsent-budget.ts";

export interface BridgeOptions {
  readonly topic: Topic;
  readonly format: FrameFormat;
  readonly isolation: Isolation;
  readonly creditBytes: number;
  /** Empty: the client will send `subscribe`. */
  readonly starts: readonly PartitionStart[];
  /** The client may subscribe to (more) partitions by message. */
  readonly takesSubscribe: boolean;
  /** Default: this isolate's. */
  readonly budget?: UnsentBudget;
}

/** Others may have freed memory; there is no event for that. */
const MEMORY_POLL_MS = 100;
let bridgesMade = 0;

/** Takes the server's end of a new pair, which it accepts; lives as long as the socket does. */
export class SocketBridge {
  readonly #cluster: Cluster;
  readonly #socket: WebSocket;
  readonly #options: BridgeOptions;
  readonly #merge = new FeedMerge();
  readonly #over = new AbortController();
  /** Those subscribed to; aborts when the client does not want them any more. */
  readonly #partitions = new Map<number, AbortController>();
  /** Subscribing takes looking up; messages that come meanwhile wait for it. */
  #subscribing: Promise<void> = Promise.resolve();
  readonly #share: BudgetShare;
  #credit: number;
  #creditCame: () => void = () => {};
  /** Batch bytes sent and not credited since. */
  #owed = 0;
  /** What those take in memory, as they were framed. */
  #unsent = 0;
  #isCreditDue = false;

  constructor(cluster: Cluster, socket: WebSocket, options: BridgeOptions) {
    this.#cluster = cluster;
    this.#socket = socket;
    this.#options = options;
    this.#credit = options.creditBytes;
    this.#share = (options.budget ?? isolateBudget).share(this, `bridge ${bridgesMade++}`);
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

  /** In pieces that fit the credit and the memory, as the leader itself would have made them. */
  async #passFrame(frame: DataFrame): Promise<void> {
    const wanted = this.#partitions.get(frame.partition)?.signal;
    for (let from = frame.from; from < frame.next; ) {
      const room = wanted === undefined ? 0 : await this.#room(wanted);
      if (room === 0) return;
      const piece = pieceOf({ ...frame, from }, Math.min(room, SUBSCRIBER_FRAME_BYTES_MAX));
      const encoded = this.#encoded(piece);
      if ("error" in encoded) {
        this.#fail(encoded, { partition: frame.partition });
        return;
      }
      const { data, next, batchBytes } = encoded;
      this.#credit -= batchBytes;
      this.#owed += batchBytes;
      // What costs no credit will never be credited.
      const unsent = batchBytes === 0 ? 0 : data.length;
      this.#unsent += unsent;
      this.#share.add(unsent);
      this.#send(data);
      if (this.#unsent * 2 > this.#share.free()) this.#askForCredit();
      from = next;
    }
  }

  #encoded(piece: DataFrame): { data: string | Uint8Array; next: number; batchBytes: number } | Failure {
    if (this.#options.format === "binary") {
      return { data: encodeFrame(piece), next: piece.next, batchBytes: piece.batches.length };
    }
    const value = this.#options.format === "json-values" ? "json" : undefined;
    const json = encodeJsonFrame(piece, { value });
    return "error" in json ? json : { data: json.text, next: json.next, batchBytes: json.batchBytes };
  }

  /** The bytes that may be sent, as soon as there are any; 0 when nobody wants them any more. */
  async #room(wanted: AbortSignal): Promise<number> {
    const { signal } = this.#over;
    while (!signal.aborted && !wanted.aborted) {
      const free = Math.max(this.#share.free() - this.#unsent, this.#unsent === 0 ? 1 : 0);
      const room = Math.min(this.#credit, free);
      if (room > 0) return room;
      if (this.#credit > 0) this.#askForCredit();
      await this.#moreCredit(this.#credit > 0 ? MEMORY_POLL_MS : undefined);
    }
    return 0;
  }

  #askForCredit(): void {
    if (this.#isCreditDue) return;
    this.#isCreditDue = true;
    this.#send(CREDIT_DUE);
  }

  async #moreCredit(waitMs: number | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#creditCame = resolve;
    const timer = waitMs === undefined ? undefined : setTimeout(resolve, waitMs);
    await promise;
    clearTimeout(timer);
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
    if (message.type === "credit") {
      this.#consumed(message.bytes);
      this.#grant(message.bytes);
    } else if (!this.#options.takesSubscribe) this.#fail(ALREADY_STARTED);
    else if (message.type === "unsubscribe") this.#unsubscribe(message.partitions);
    else {
      if (message.credit_bytes !== undefined) this.#grant(message.credit_bytes);
      this.#subscribe(message.partitions);
    }
  }

  #consumed(bytes: number): void {
    const paid = Math.min(bytes, this.#owed);
    const freed = paid === this.#owed ? this.#unsent : Math.floor((this.#unsent * paid) / this.#owed);
    this.#owed -= paid;
    this.#unsent -= freed;
    this.#isCreditDue = false;
    this.#share.add(-freed);
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
        return noSuchPartition(topic, partition);
      }
      if (this.#partitions.has(partition)) {
        return failure("INVALID_REQUEST", `This socket has partition ${partition} already.`);
      }
      this.#partitions.set(partition, new AbortController());
    }
    return undefined;
  }

  /** After everything that was subscribed to before. */
  #unsubscribe(partitions: readonly number[]): void {
    this.#subscribing = this.#subscribing.then(() => {
      for (const partition of partitions) {
        this.#partitions.get(partition)?.abort();
        this.#partitions.delete(partition);
      }
      this.#send(encodeUnsubscribed(partitions));
      // A frame of theirs may wait for credit in front of the others'.
      this.#creditCame();
    });
  }

  async #begin(starts: readonly PartitionStart[]): Promise<void> {
    const { topic, isolation } = this.#options;
    const offsets = await startOffsets(this.#cluster, topic, starts, isolation, "unchecked");
    if (isFailure(offsets)) {
      this.#fail(offsets, offsets);
      return;
    }
    const windowBytes = windowOf(this.#credit, this.#partitions.size);
    for (const start of offsets) {
      const wanted = this.#partitions.get(start.partition);
      if (wanted === undefined) continue;
      const signal = AbortSignal.any([this.#over.signal, wanted.signal]);
      const options = { topic, ...start, isolation, windowBytes, signal };
      this.#merge.add(partitionFeed(this.#cluster, options), signal);
    }
  }

  #send(data: string | Uint8Array): void {
    if (!this.#over.signal.aborted) this.#socket.send(data);
  }

  #fail(problem: Failure, about: { partition?: number } & Partial<LogBounds> = {}): void {
    const { error, message } = problem;
    try {
      this.#send(encodeError({ error, message }, about));
    } catch {
      // The client is gone, and the event that says so has not come yet.
    }
    this.#close(closeCodeOf(error), error);
  }

  #close(code: number, reason?: string): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#consumed(this.#owed);
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

/** The frame's first whole batches: at most so many bytes, but at least one; with the last, all that is left of the frame. */
function pieceOf(frame: DataFrame, bytesMax: number): DataFrame {
  const batches = sliceFrom(frame.batches, frame.from, bytesMax);
  let next = frame.from;
  for (const { header } of batchHeaders(batches)) next = Math.min(header.nextOffset, frame.next);
  const isRest = sliceFrom(frame.batches, next, 1).length === 0;
  return { ...frame, batches, next: isRest ? frame.next : next };
}
