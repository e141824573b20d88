/** Answers that are made while they are sent. */

import { releaseBuffer } from "../model/bytes.ts";
import { HTTP_CHUNK_CHARS } from "../model/limits.ts";

/**
 * The pieces of text as a body, about HTTP_CHUNK_CHARS at a time and only as fast as the reader takes them. A piece that
 * throws breaks the answer off, so that a reader cannot take it for a whole one. `over` is called at the end, whichever.
 */
export function textStream(
  pieces: Iterable<string>,
  over: () => void = () => {},
): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.iterator]();
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      try {
        const { text, isLast } = nextPiece(iterator);
        if (text !== "") controller.enqueue(encoder.encode(text));
        if (!isLast) return;
        controller.close();
      } catch (error) {
        controller.error(error);
      }
      over();
    },
    cancel() {
      iterator.return?.();
      over();
    },
  });
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
 * sent or will not be; then `over` is called.
 */
export function byteStream(bytes: Uint8Array, over: () => void): ReadableStream<Uint8Array> {
  const { readable, writable } = new FixedLengthStream(bytes.length);
  const writer = writable.getWriter();
  void writer
    .write(bytes)
    .then(() => writer.close())
    // The reader has gone.
    .catch(() => {})
    .finally(() => {
      releaseBuffer(bytes);
      over();
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
