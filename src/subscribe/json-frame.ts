/** Record batches as the text of a `records` message, for the partition and the Worker. */

import { batchHeaders } from "../log/batch-header.ts";
import { decodeBatches } from "../log/decode-batch.ts";
import { recordSize } from "../log/record.ts";
import { EdgelogError, type Failure, failure } from "../model/errors.ts";
import { SUBSCRIBER_JSON_FRAME_CHARS_MAX } from "../model/limits.ts";
import type { DataFrame } from "./frame.ts";
import { encodeRecordsMessage } from "./protocol.ts";
import { type RecordJsonOptions, recordToJsonText } from "./record-json.ts";

export interface JsonFrame {
  readonly text: string;
  /** The position after it; before the end of `frame` if the text would have become too long. */
  readonly next: number;
  /** What it costs in credit. */
  readonly batchBytes: number;
}

/**
 * The frame as a message. Records may expand a thousandfold when they are decompressed, so the text is bounded: it then
 * ends in the middle, even of a batch, and the caller goes on with a frame that begins at `next`.
 *
 * Fails with what is wrong with the batches (CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE, …), or with MESSAGE_TOO_LARGE
 * for a record that fits no message.
 */
export function encodeJsonFrame(frame: DataFrame, options: RecordJsonOptions): JsonFrame | Failure {
  const texts: string[] = [];
  let chars = 0;
  let { next } = frame;
  try {
    for (const record of decodeBatches(frame.batches)) {
      if (record.offset < frame.from) continue;
      if (record.offset >= frame.next) break;
      const rawBytes = recordSize(record);
      if (rawBytes > SUBSCRIBER_JSON_FRAME_CHARS_MAX) return tooLarge(record.offset, rawBytes);
      const text = recordToJsonText(record, options);
      if (text.length > SUBSCRIBER_JSON_FRAME_CHARS_MAX && texts.length === 0) {
        return tooLarge(record.offset, text.length);
      }
      if (chars + text.length > SUBSCRIBER_JSON_FRAME_CHARS_MAX) {
        next = record.offset;
        break;
      }
      texts.push(text);
      chars += text.length;
    }
  } catch (error) {
    if (error instanceof EdgelogError) return error.toFailure();
    throw error;
  }
  const batchBytes = next === frame.next ? frame.batches.length : bytesBefore(frame.batches, next);
  return { text: encodeRecordsMessage({ ...frame, next }, batchBytes, texts.join(",")), next, batchBytes };
}

/** The bytes of all batches that begin before the offset. */
function bytesBefore(batches: Uint8Array, offset: number): number {
  let bytes = 0;
  for (const { header } of batchHeaders(batches)) {
    if (header.baseOffset < offset) bytes += header.sizeInBytes;
  }
  return bytes;
}

function tooLarge(offset: number, size: number): Failure {
  return failure(
    "MESSAGE_TOO_LARGE",
    `The record at offset ${offset} takes ${size} bytes, more than a JSON message may have (${SUBSCRIBER_JSON_FRAME_CHARS_MAX}); read it by the binary subprotocol.`,
  );
}
