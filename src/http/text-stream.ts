/** Answers that are made while they are sent. */

import { HTTP_CHUNK_CHARS } from "../model/limits.ts";

/**
 * The pieces of text as a body, about HTTP_CHUNK_CHARS at a time and only as fast as the reader takes them. A piece that
 * throws breaks the answer off, so that a reader cannot take it for a whole one.
 */
export function textStream(pieces: Iterable<string>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.iterator]();
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      let text = "";
      while (text.length < HTTP_CHUNK_CHARS) {
        const { done, value } = iterator.next();
        if (done === true) {
          if (text !== "") controller.enqueue(encoder.encode(text));
          controller.close();
          return;
        }
        text += value;
      }
      controller.enqueue(encoder.encode(text));
    },
    cancel() {
      iterator.return?.();
    },
  });
}

/** The pieces with commas between them. */
export function* commaSeparated(pieces: Iterable<string>): Generator<string> {
  let separator = "";
  for (const piece of pieces) {
    yield separator + piece;
    separator = ",";
  }
}
