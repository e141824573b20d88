/** Data frames, encoded once for every socket at the same position. */

import { batchHeaders } from "../../src/log/batch-header.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import { SUBSCRIBER_FRAME_BYTES_MAX, SUBSCRIBER_FRAME_CACHE_BYTES_MAX } from "../../src/model/limits.ts";
import { type DataFrame, encodeFrame } from "../../src/subscribe/frame.ts";
import { encodeJsonFrame } from "../../src/subscribe/json-frame.ts";
import type { FrameFormat } from "../../src/subscribe/leader-request.ts";
import type { RecordJsonOptions } from "../../src/subscribe/record-json.ts";
import type { SubscriberLog } from "./subscriber-log.ts";

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
  /** Bytes of frames encoded, not taken from the cache: what a turn's work is measured by. */
  encodedBytes = 0;

  constructor(log: SubscriberLog, cache: FrameCache = isolateFrames) {
    this.#log = log;
    this.#cache = cache;
  }

  /** The frame for a subscriber who is behind the log end: at most so many bytes (above zero), but at least a batch. */
  frame(subscriber: SubscriberPosition, bytesMax: number): SubscriberFrame | FrameProblem {
    const { partition, format, next: from } = subscriber;
    if (from < this.#log.logStartOffset()) return "out_of_range";
    const whole = this.#cached(format, from, SUBSCRIBER_FRAME_BYTES_MAX);
    if (whole !== undefined && whole.batchBytes <= bytesMax) return whole;
    // Sockets with about the same room share a frame: it is made for the power of two below.
    const maxBytes =
      bytesMax >= SUBSCRIBER_FRAME_BYTES_MAX
        ? SUBSCRIBER_FRAME_BYTES_MAX
        : 2 ** Math.floor(Math.log2(bytesMax));
    return this.#cached(format, from, maxBytes) ?? this.#make({ partition, format, from, maxBytes });
  }

  #cached(format: FrameFormat, from: number, maxBytes: number): SubscriberFrame | undefined {
    const frame = this.#cache.get(this.#key(format, from, maxBytes));
    return frame?.isFull || frame?.next === this.#log.logEndOffset() ? frame : undefined;
  }

  #key(format: FrameFormat, from: number, maxBytes: number): string {
    return `${this.#prefix}${format}/${from}/${maxBytes}`;
  }

  #make(wanted: FrameWanted): SubscriberFrame | FrameProblem {
    const { partition, format, from, maxBytes } = wanted;
    const batches = this.#log.readLocal(from, maxBytes);
    if (typeof batches === "string") return batches;
    const highWatermark = this.#log.logEndOffset();
    let next = from;
    for (const { header } of batchHeaders(batches)) next = header.nextOffset;
    if (next <= from) return failure("UNKNOWN_SERVER_ERROR", `Nothing was read at offset ${from}.`);
    const whole = { partition, from, next, highWatermark, batches };
    const frame =
      format === "binary"
        ? binaryFrame(whole)
        : jsonFrame(whole, { value: format === "json-values" ? "json" : undefined });
    if ("error" in frame) return frame;
    this.encodedBytes += frame.size;
    this.#cache.set(this.#key(format, from, maxBytes), frame);
    return frame;
  }
}

export interface SubscriberPosition {
  readonly partition: number;
  readonly format: FrameFormat;
  readonly next: number;
}

interface FrameWanted {
  readonly partition: number;
  readonly format: FrameFormat;
  readonly from: number;
  readonly maxBytes: number;
}

function binaryFrame(frame: DataFrame): SubscriberFrame {
  const data = encodeFrame(frame);
  const { next, highWatermark, batches } = frame;
  return { next, batchBytes: batches.length, data, size: data.length, isFull: next < highWatermark };
}

function jsonFrame(frame: DataFrame, options: RecordJsonOptions): SubscriberFrame | Failure {
  const encoded = encodeJsonFrame(frame, options);
  if ("error" in encoded) return encoded;
  const { text, next, batchBytes } = encoded;
  return { next, batchBytes, data: text, size: text.length, isFull: next < frame.highWatermark };
}
