/**
 * Copies a sealed segment to R2, byte for byte and piece by piece, and builds its index on the way.
 */

import { batchHeaders } from "../../src/log/batch-header.ts";
import { concatBytes, releaseBytes } from "../../src/model/bytes.ts";
import { letOthersIn } from "../../src/model/event-loop.ts";
import { SegmentIndexBuilder } from "../../src/tier/segment-index.ts";
import type { LogStore, SegmentRow } from "./log-store.ts";

/** On a laptop, where R2 works in the thread of the leader, it keeps producers waiting for as long as a piece takes it. */
const PIECE_BYTES = 64 * 1024;

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
  const newIndex = () => new SegmentIndexBuilder(segment.baseOffset, segment.bytes, indexIntervalBytes);
  if ((await bucket.head(key)) === null) {
    const index = newIndex();
    if (await putSegment(bucket, key, segment, indexed(store, segment, index))) return index.finish();
  }
  checkSize(await bucket.head(key), segment, key);
  const index = newIndex();
  for (const piece of indexed(store, segment, index)) releaseBytes(piece);
  return index.finish();
}

/** False if there is such an object by now. */
async function putSegment(
  bucket: R2Bucket,
  key: string,
  segment: SegmentRow,
  pieces: Iterable<Uint8Array>,
): Promise<boolean> {
  const { readable, writable } = new FixedLengthStream(segment.bytes);
  const writer = writable.getWriter();
  const writing = (async () => {
    for (const piece of pieces) {
      await writer.write(piece);
      releaseBytes(piece);
      // R2 on a laptop is in this very process.
      await letOthersIn();
    }
    await writer.close();
  })();
  let object: R2Object | null = null;
  try {
    object = await bucket.put(key, readable, { onlyIf: new Headers({ "If-None-Match": "*" }) });
  } finally {
    // Unless it was stored, nobody may be reading what is still being written.
    if (object === null) await Promise.allSettled([writer.abort(), writing]);
  }
  if (object === null) return false;
  await writing;
  checkSize(object, segment, key);
  return true;
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
