/**
 * Copies a sealed segment to R2, byte for byte and piece by piece, and builds its index on the way.
 */

import { batchHeaders } from "../../src/log/batch-header.ts";
import { concatBytes, releaseBytes } from "../../src/model/bytes.ts";
import { SegmentIndexBuilder } from "../../src/tier/segment-index.ts";
import type { LogStore, SegmentRow } from "./log-store.ts";

const PIECE_BYTES = 1024 * 1024;

/**
 * Puts the object unless it is there already: a segment's key names its bytes, so an object that an interrupted upload
 * left behind is the same one. Returns the segment's index. Throws when R2 fails.
 */
export async function uploadSegment(
  bucket: R2Bucket,
  key: string,
  store: LogStore,
  segment: SegmentRow,
  indexIntervalBytes: number,
): Promise<Uint8Array> {
  const index = new SegmentIndexBuilder(segment.baseOffset, segment.bytes, indexIntervalBytes);
  const stored = await bucket.head(key);
  if (stored !== null) {
    checkSize(stored, segment, key);
    for (const piece of indexed(store, segment, index)) void piece;
    return index.finish();
  }
  const { readable, writable } = new FixedLengthStream(segment.bytes);
  const writer = writable.getWriter();
  const writing = (async () => {
    for (const piece of indexed(store, segment, index)) {
      await writer.write(piece);
      releaseBytes(piece);
    }
    await writer.close();
  })();
  try {
    const onlyIf = new Headers({ "If-None-Match": "*" });
    const object = (await bucket.put(key, readable, { onlyIf })) ?? (await bucket.head(key));
    checkSize(object, segment, key);
  } catch (error) {
    await Promise.allSettled([writer.abort(error), writing]);
    throw error;
  }
  await writing;
  return index.finish();
}

function* indexed(store: LogStore, segment: SegmentRow, index: SegmentIndexBuilder): Generator<Uint8Array> {
  let position = 0;
  for (const groups of store.segmentPieces(segment, PIECE_BYTES)) {
    const piece = concatBytes(groups);
    for (const group of groups) releaseBytes(group);
    for (const batch of batchHeaders(piece)) index.add(batch.header, position + batch.position);
    position += piece.length;
    yield piece;
  }
}

function checkSize(object: R2Object | null, segment: SegmentRow, key: string): void {
  if (object?.size !== segment.bytes) {
    throw new Error(`${key} has ${object?.size ?? "no"} bytes in R2, the segment has ${segment.bytes}`);
  }
}
