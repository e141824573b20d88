import { EdgelogError } from "../model/errors.ts";
import { letOthersIn } from "../model/event-loop.ts";
import {
  KAFKA_FRAME_BYTES_MAX,
  KAFKA_READ_CHUNK_BYTES,
  KAFKA_TURN_BYTES_MAX,
  KAFKA_TURN_FRAMES_MAX,
  KAFKA_UNAUTHENTICATED_FRAME_BYTES_MAX,
} from "../model/limits.ts";
import { requestBytes } from "./byte-budget.ts";
import { LENGTH_PREFIX_BYTES } from "./frame.ts";

/** A request's bytes, without their length. */
export interface Frame {
  readonly bytes: Uint8Array;
  /** To be called when nothing looks at the bytes any more. */
  release(): void;
}

const NOTHING = new Uint8Array(0);

/**
 * Cuts a stream of bytes into frames. It reads on only when the next frame is asked for, and never holds more than a
 * chunk besides: a frame that lies whole in its chunk is a view of it, a larger one is read into a buffer of its own.
 */
export class FrameStream {
  readonly #source: ByteSource;
  #rest: Uint8Array = NOTHING;
  #isInFrame = false;
  #sinceMs = Date.now();
  /** Since others had their turn. */
  #frames = 0;
  #largeBytes = 0;

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#source = byteSource(readable);
  }

  /** How long the next frame has been waited for, or the rest of one that has begun, in ms. */
  waiting(nowMs: number): { readonly ms: number; readonly isInFrame: boolean } {
    return { ms: nowMs - this.#sinceMs, isInFrame: this.#isInFrame };
  }

  /**
   * The next frame, or undefined at the end of the stream.
   *
   * @throws {EdgelogError} INVALID_REQUEST: the stream ends within a frame, or what comes is too large to be one
   */
  async next(isAuthenticated: boolean): Promise<Frame | undefined> {
    if (this.#frames >= KAFKA_TURN_FRAMES_MAX || this.#largeBytes >= KAFKA_TURN_BYTES_MAX) {
      this.#frames = 0;
      this.#largeBytes = 0;
      await letOthersIn();
    }
    this.#frames++;
    this.#sinceMs = Date.now();
    this.#isInFrame = this.#rest.length > 0;
    while (this.#rest.length < LENGTH_PREFIX_BYTES) {
      const chunk = await this.#source.read();
      if (chunk === undefined) {
        if (this.#rest.length === 0) return undefined;
        throw new EdgelogError("INVALID_REQUEST", "the connection ended within a frame's length");
      }
      this.#rest = this.#rest.length === 0 ? chunk : joined(this.#rest, chunk);
    }
    const rest = this.#rest;
    const length = new DataView(rest.buffer, rest.byteOffset, LENGTH_PREFIX_BYTES).getInt32(0);
    const lengthMax = isAuthenticated ? KAFKA_FRAME_BYTES_MAX : KAFKA_UNAUTHENTICATED_FRAME_BYTES_MAX;
    if (length < 0 || length > lengthMax) {
      throw new EdgelogError("INVALID_REQUEST", `a frame of ${length} bytes is not from 0 to ${lengthMax}`);
    }
    const end = LENGTH_PREFIX_BYTES + length;
    if (rest.length >= end) {
      this.#rest = rest.subarray(end);
      return { bytes: rest.subarray(LENGTH_PREFIX_BYTES, end), release: () => {} };
    }
    this.#rest = NOTHING;
    this.#isInFrame = true;
    return this.#largeFrame(length, rest.subarray(LENGTH_PREFIX_BYTES));
  }

  /** Nothing more is read. */
  async cancel(): Promise<void> {
    await this.#source.cancel();
  }

  async #largeFrame(length: number, begun: Uint8Array): Promise<Frame> {
    await requestBytes.takeInTurn(length);
    this.#largeBytes += length;
    let isHeld = true;
    const release = () => {
      if (isHeld) requestBytes.give(length);
      isHeld = false;
    };
    try {
      const whole = new Uint8Array(length);
      whole.set(begun);
      const bytes = await this.#source.fill(whole, begun.length, (rest) => {
        this.#rest = rest;
      });
      if (bytes === undefined)
        throw new EdgelogError("INVALID_REQUEST", "the connection ended within a frame");
      return { bytes, release };
    } catch (error) {
      release();
      throw error;
    }
  }
}

interface ByteSource {
  read(): Promise<Uint8Array | undefined>;
  /** Fills `whole` from `from` on; what it had to read beyond goes to `left`. undefined if the stream ends before. */
  fill(whole: Uint8Array, from: number, left: (rest: Uint8Array) => void): Promise<Uint8Array | undefined>;
  cancel(): Promise<void>;
}

function byteSource(readable: ReadableStream<Uint8Array>): ByteSource {
  try {
    return new ByobSource(readable.getReader({ mode: "byob" }));
  } catch (error) {
    if (error instanceof TypeError) return new ChunkSource(readable.getReader());
    throw error;
  }
}

/** A byte stream fills buffers that it is given; workerd's own would otherwise read 4 KiB at a time. */
class ByobSource implements ByteSource {
  readonly #reader: ReadableStreamBYOBReader;

  constructor(reader: ReadableStreamBYOBReader) {
    this.#reader = reader;
  }

  async read(): Promise<Uint8Array | undefined> {
    const { value, done } = await this.#reader.read(new Uint8Array(KAFKA_READ_CHUNK_BYTES));
    return done ? undefined : value;
  }

  async fill(whole: Uint8Array, from: number): Promise<Uint8Array | undefined> {
    // The buffer is handed over, and comes back as another object over the same memory; `whole` is empty from then on.
    const { length } = whole;
    let buffer = whole.buffer;
    for (let filled = from; filled < length; ) {
      const rest = new Uint8Array(buffer, filled, length - filled);
      const { value, done } = await this.#readAtLeast(rest);
      if (done || value === undefined) return undefined;
      buffer = value.buffer;
      filled += value.length;
    }
    return new Uint8Array(buffer);
  }

  /** workerd has a method that comes back only when the buffer is full; elsewhere it takes several reads. */
  #readAtLeast(rest: Uint8Array) {
    const reader: { readAtLeast?: ReadableStreamBYOBReader["readAtLeast"] } = this.#reader;
    return reader.readAtLeast === undefined
      ? this.#reader.read(rest)
      : this.#reader.readAtLeast(rest.length, rest);
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

/** Any other stream gives what it has. */
class ChunkSource implements ByteSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  async read(): Promise<Uint8Array | undefined> {
    const { value, done } = await this.#reader.read();
    return done ? undefined : value;
  }

  async fill(
    whole: Uint8Array,
    from: number,
    left: (rest: Uint8Array) => void,
  ): Promise<Uint8Array | undefined> {
    for (let filled = from; filled < whole.length; ) {
      const chunk = await this.read();
      if (chunk === undefined) return undefined;
      const size = Math.min(chunk.length, whole.length - filled);
      whole.set(chunk.subarray(0, size), filled);
      filled += size;
      if (size < chunk.length) left(chunk.subarray(size));
    }
    return whole;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
