/** Data frames, encoded once for every socket at the same position. */

import { type Failure, failure } from "../../src/model/errors.ts";
import type { Isolation } from "../../src/model/isolation.ts";
import { SUBSCRIBER_FRAME_BYTES_MAX, SUBSCRIBER_FRAME_CACHE_BYTES_MAX } from "../../src/model/limits.ts";
import { type DataFrame, encodeFrame } from "../../src/subscribe/frame.ts";
import { encodeJsonFrame } from "../../src/subscribe/json-frame.ts";
import type { FrameFormat } from "../../src/subscribe/leader-request.ts";
import type { RecordJsonOptions } from "../../src/subscribe/record-json.ts";
import { readableEndOf, type SubscriberLog } from "./subscriber-log.ts";

export interface SubscriberFrame {
  /** The position after it. */
  readonly next: number;
  /** What it costs in credit: the bytes of the batches it was made of. */
  readonly batchBytes: number;
  readonly data: string | Uint8Array;
  /** What it takes in memory, roughly. */
  readonly size: number;
  /** There was more, which did not fit: a frame made now would be the same. */
  readonly isFull: boolean;
}

export type FrameProblem = "remote" | "out_of_range" | Failure;

/** The frames made last in this isolate. An entry is a fact about the log, so it never becomes wrong, only small. */
export class FrameCache {
  readonly #bytesMax: number;
  readonly #frames = new Map<string, SubscriberFrame>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(key: string): SubscriberFrame | undefined {
    return this.#frames.get(key);
  }

  set(key: string, frame: SubscriberFrame): void {
    this.#bytes += frame.size - (this.#frames.get(key)?.size ?? 0);
    this.#frames.delete(key);
    this.#frames.set(key, frame);
    for (const [oldest, { size }] of this.#frames) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#frames.delete(oldest);
      this.#bytes -= size;
    }
  }
}

const isolateFrames = new FrameCache(SUBSCRIBER_FRAME_CACHE_BYTES_MAX);
let sourcesMade = 0;

export class SubscriberFrames {
  readonly #log: SubscriberLog;
  readonly #cache: FrameCache;
  readonly #prefix = `${sourcesMade++}/`;
  /** Bytes that were read or encoded, not taken from the cache: what a turn's work is measured by. */
  workBytes = 0;

  constructor(log: SubscriberLog, cache: FrameCache = isolateFrames) {
    this.#log = log;
    this.#cache = cache;
  }

  /**
   * The frame for a subscriber who is behind what it may read: at most so many bytes (above zero), but at least a batch; or
   * no batch at all where a read_committed one must see none of them.
   */
  frame(subscriber: SubscriberPosition, bytesMax: number): SubscriberFrame | FrameProblem {
    const { partition, format, next: from, isolation = "read_uncommitted" } = subscriber;
    if (from < this.#log.logStartOffset()) return "out_of_range";
    const kind = { format, from, isolation };
    const whole = this.#cached({ ...kind, maxBytes: SUBSCRIBER_FRAME_BYTES_MAX });
    if (whole !== undefined && whole.batchBytes <= bytesMax) return whole;
    // Sockets with about the same room share a frame: it is made for the power of two below.
    const maxBytes =
      bytesMax >= SUBSCRIBER_FRAME_BYTES_MAX
        ? SUBSCRIBER_FRAME_BYTES_MAX
        : 2 ** Math.floor(Math.log2(bytesMax));
    const wanted = { ...kind, maxBytes };
    return this.#cached(wanted) ?? this.#make(partition, wanted);
  }

  #cached(wanted: FrameWanted): SubscriberFrame | undefined {
    const frame = this.#cache.get(this.#key(wanted));
    return frame?.isFull || frame?.next === readableEndOf(this.#log, wanted.isolation) ? frame : undefined;
  }

  #key({ format, isolation, from, maxBytes }: FrameWanted): string {
    return `${this.#prefix}${format}/${isolation}/${from}/${maxBytes}`;
  }

  #make(partition: number, wanted: FrameWanted): SubscriberFrame | FrameProblem {
    const { format, isolation, from, maxBytes } = wanted;
    const found = this.#log.readLocal(from, maxBytes, isolation);
    if (typeof found === "string") return found;
    const { batches, next, readBytes } = found;
    if (next <= from) return failure("UNKNOWN_SERVER_ERROR", `Nothing was read at offset ${from}.`);
    const whole = { partition, from, next, highWatermark: this.#log.logEndOffset(), batches };
    const encoded =
      format === "binary"
        ? binaryFrame(whole)
        : jsonFrame(whole, { value: format === "json-values" ? "json" : undefined });
    if ("error" in encoded) return encoded;
    const frame = { ...encoded, isFull: encoded.next < readableEndOf(this.#log, isolation) };
    this.workBytes += Math.max(frame.size, readBytes);
    this.#cache.set(this.#key(wanted), frame);
    return frame;
  }
}

export interface SubscriberPosition {
  readonly partition: number;
  readonly format: FrameFormat;
  readonly isolation?: Isolation;
  readonly next: number;
}

interface FrameWanted {
  readonly format: FrameFormat;
  readonly isolation: Isolation;
  readonly from: number;
  readonly maxBytes: number;
}

type EncodedFrame = Omit<SubscriberFrame, "isFull">;

function binaryFrame(frame: DataFrame): EncodedFrame {
  const data = encodeFrame(frame);
  return { next: frame.next, batchBytes: frame.batches.length, data, size: data.length };
}

function jsonFrame(frame: DataFrame, options: RecordJsonOptions): EncodedFrame | Failure {
  const encoded = encodeJsonFrame(frame, options);
  if ("error" in encoded) return encoded;
  const { text, next, batchBytes } = encoded;
  return { next, batchBytes, data: text, size: text.length };
}
