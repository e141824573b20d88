/**
 * The codecs of record batches. Everything is synchronous: native where the runtime has `node:zlib` (Node, workerd), in
 * JavaScript elsewhere. A codec is told the most that its output may have and keeps to it while it works, so that a
 * bomb costs no more than an honest batch.
 */

import { EdgelogError } from "../model/errors.ts";
import { gunzip, gzip } from "./codecs/gzip.ts";
import { unlz4 } from "./codecs/lz4.ts";
import { lz4 } from "./codecs/lz4-encoder.ts";
import { snappy, unsnappy } from "./codecs/snappy.ts";
import { unzstd, zstd } from "./codecs/zstd.ts";

/** As in Kafka's `compression.type`; a name's place is its number in a batch's attributes. */
export const COMPRESSION_NAMES = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

export type CompressionName = (typeof COMPRESSION_NAMES)[number];

/** @throws {EdgelogError} UNSUPPORTED_COMPRESSION_TYPE */
export function compressionName(codec: number): CompressionName {
  const name = COMPRESSION_NAMES[codec];
  if (name === undefined) throw new EdgelogError("UNSUPPORTED_COMPRESSION_TYPE", `codec ${codec} is unknown`);
  return name;
}

/** Whether {@link compress} can write it in this runtime: zstd in workerd and Node 22.15 or later, all others everywhere. */
export function canCompress(name: CompressionName): boolean {
  return name !== "zstd" || zstd !== undefined;
}

/** @throws {EdgelogError} UNSUPPORTED_COMPRESSION_TYPE if not {@link canCompress}. */
export function compress(name: CompressionName, bytes: Uint8Array): Uint8Array {
  switch (name) {
    case "none":
      return bytes;
    case "gzip":
      return gzip(bytes);
    case "snappy":
      return snappy(bytes);
    case "lz4":
      return lz4(bytes);
    case "zstd":
      if (zstd !== undefined) return zstd(bytes);
      throw new EdgelogError(
        "UNSUPPORTED_COMPRESSION_TYPE",
        "zstd cannot be written here; use gzip, snappy or lz4",
      );
  }
}

/**
 * At most `bytesMax` bytes; "none" gives the same bytes back.
 * @throws {EdgelogError} MESSAGE_TOO_LARGE if there would be more; INVALID_RECORD if the codec does not understand them.
 */
export function decompress(name: CompressionName, bytes: Uint8Array, bytesMax: number): Uint8Array {
  switch (name) {
    case "none":
      return bytes;
    case "gzip":
      return gunzip(bytes, bytesMax);
    case "snappy":
      return unsnappy(bytes, bytesMax);
    case "lz4":
      return unlz4(bytes, bytesMax);
    case "zstd":
      return unzstd(bytes, bytesMax);
  }
}
