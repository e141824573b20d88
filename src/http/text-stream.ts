/** Answers that are made while they are sent. */

import { releaseBuffer, releaseBytes } from "../model/bytes.ts";
import { EdgelogError } from "../model/errors.ts";
import { HTTP_CHUNK_BYTES, HTTP_CHUNK_CHARS } from "../model/limits.ts";

/** Who is told how an answer goes: {@link Hold} is one. */
export interface Sending {
  /** Some of it was taken. */
  progress(): void;
  /** All of it was, or no more of it will be. */
  release(): void;
  /**
   * How to make it let go of its memory at once; its reader, should there be one, then finds it broken off. Another request
   * may call that, so it does no I/O.
   */
  breakOffBy(breakOff: () => void): void;
}

/**
 * The pieces of text as a body, about HTTP_CHUNK_CHARS at a time and only as fast as the reader takes them. A piece that
 * throws breaks the answer off, so that a reader cannot take it for a whole one.
 */
export function textStream(pieces: Iterable<string>, sending?: Sending): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let iterator: Iterator<string> | undefined = pieces[Symbol.iterator]();
  const end = () => {
    iterator?.return?.();
    iterator = undefined;
  };
  sending?.breakOffBy(end);
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      try {
        if (iterator === undefined) throw brokenOff();
        sending?.progress();
        const { text, isLast } = nextPiece(iterator);
        if (text !== "") controller.enqueue(encoder.encode(text));
        if (!isLast) return;
        controller.close();
      } catch (error) {
        controller.error(error);
      }
      end();
      sending?.release();
    },
    cancel() {
      end();
      sending?.release();
    },
  });
}

function brokenOff(): EdgelogError {
  return new EdgelogError(
    "THROTTLING_QUOTA_EXCEEDED",
    "Nothing was taken of the answer while others needed its memory.",
  );
}

function nextPiece(pieces: Iterator<string>): { readonly text: string; readonly isLast: boolean } {
  let text = "";
  while (text.length < HTTP_CHUNK_CHARS) {
    const { done, value } = pieces.next();
    if (done === true) return { text, isLast: true };
    text += value;
  }
  return { text, isLast: false };
}

/**
 * The bytes as a body of known length. They are given away, and the buffer that they lie in is freed, when they have been
 * sent or will not be.
 */
export function byteStream(bytes: Uint8Array, sending: Sending): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(bytes.length);
  let isHeld = true;
  const end = () => {
    isHeld = false;
    releaseBuffer(bytes);
  };
  sending.breakOffBy(end);
  const write = async () => {
    const writer = writable.getWriter();
    try {
      for (let at = 0; at < bytes.length; at += HTTP_CHUNK_BYTES) {
        // A copy: what is being written cannot be freed.
        const piece = bytes.slice(at, at + HTTP_CHUNK_BYTES);
        await writer.write(piece);
        releaseBytes(piece);
        sending.progress();
        if (!isHeld) throw brokenOff();
      }
      await writer.close();
    } catch (error) {
      await writer.abort(error);
    }
  };
  void write()
    // The reader has gone.
    .catch(() => {})
    .finally(() => {
      end();
      sending.release();
    });
  return readable;
}

/** The pieces with commas between them. */
export function* commaSeparated(pieces: Iterable<string>): Generator<string> {
  let separator = "";
  for (const piece of pieces) {
    yield separator + piece;
    separator = ",";
  }
}
