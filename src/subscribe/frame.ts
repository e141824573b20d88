/**
 * The data frame of the binary subprotocol: 32 bytes of header, then record batches byte for byte as they are stored.
 *
 * | bytes  | type   | field                                                                      |
 * | ------ | ------ | -------------------------------------------------------------------------- |
 * | 0      | uint8  | version of the framing: 1                                                  |
 * | 1      | uint8  | type: 1 = records. A reader skips types that it does not know              |
 * | 2–3    | uint16 | reserved: 0                                                                |
 * | 4–7    | uint32 | partition                                                                  |
 * | 8–15   | int64  | from: the subscriber's position before this frame                          |
 * | 16–23  | int64  | next: its position after this frame                                        |
 * | 24–31  | int64  | high watermark when the frame was made                                     |
 * | 32–    |        | whole record batches                                                       |
 *
 * All integers are big-endian, as in the batches. A frame that is only a header moves the position (records that are no
 * longer kept, or were compacted away).
 */

import { EdgelogError } from "../model/errors.ts";

export const FRAME_VERSION = 1;
export const FRAME_TYPE_RECORDS = 1;
export const FRAME_HEADER_BYTES = 32;

/** What one data frame says, whatever the subprotocol. Offsets are below 2^53. */
export interface FramePosition {
  readonly partition: number;
  /** The subscriber's position before this frame. If the receiver's own is another, something was lost: reconnect. */
  readonly from: number;
  /** Its position after this frame: the offset to resume from. */
  readonly next: number;
  /** The log end when the frame was made; `highWatermark - next` is how far the subscriber lags. */
  readonly highWatermark: number;
}

export interface DataFrame extends FramePosition {
  /**
   * Whole batches; the first may begin with records before `from`, which the reader skips. Its length is what the frame
   * costs in credit.
   */
  readonly batches: Uint8Array;
}

/** The bytes of a binary data frame, in a buffer of their own. */
export function encodeFrame(frame: DataFrame): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + frame.batches.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, FRAME_VERSION);
  view.setUint8(1, FRAME_TYPE_RECORDS);
  view.setUint32(4, frame.partition);
  view.setBigInt64(8, BigInt(frame.from));
  view.setBigInt64(16, BigInt(frame.next));
  view.setBigInt64(24, BigInt(frame.highWatermark));
  bytes.set(frame.batches, FRAME_HEADER_BYTES);
  return bytes;
}

/**
 * Reads a binary data frame; `batches` is a view of the same buffer. undefined for a frame of an unknown type, which a
 * reader skips.
 *
 * @throws EdgelogError CORRUPT_MESSAGE if the frame is torn, INVALID_REQUEST if its version is unknown
 */
export function decodeFrame(data: ArrayBuffer | Uint8Array): DataFrame | undefined {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  if (bytes.length < FRAME_HEADER_BYTES) {
    throw new EdgelogError(
      "CORRUPT_MESSAGE",
      `A data frame has ${bytes.length} bytes; its header alone has 32.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint8(0);
  if (version !== FRAME_VERSION) {
    throw new EdgelogError(
      "INVALID_REQUEST",
      `Data frames of version ${version} are not known; update the client.`,
    );
  }
  if (view.getUint8(1) !== FRAME_TYPE_RECORDS) return undefined;
  return {
    partition: view.getUint32(4),
    from: Number(view.getBigInt64(8)),
    next: Number(view.getBigInt64(16)),
    highWatermark: Number(view.getBigInt64(24)),
    batches: bytes.subarray(FRAME_HEADER_BYTES),
  };
}
