import { DECOMPRESSED_BATCH_BYTES_MAX } from "../model/limits.ts";
import { BATCH_HEADER_BYTES, readBatchHeader } from "./batch-header.ts";
import { ATTRIBUTE_COMPRESSION, BATCH_OVERHEAD_BYTES, FIELD } from "./batch-layout.ts";
import {
  COMPRESSION_NAMES,
  type CompressionName,
  compress,
  compressionName,
  decompress,
} from "./compression.ts";
import { crc32c } from "./crc32c.ts";

/**
 * The same batch with its records in another codec. What else its header says stays: offsets, times, producer. The
 * batch must be valid (`validateBatch`): its CRC is made anew.
 *
 * @throws {EdgelogError} MESSAGE_TOO_LARGE: decompressed it is more than DECOMPRESSED_BATCH_BYTES_MAX; INVALID_RECORD: its
 * own codec does not understand it
 */
export function recompressBatch(batch: Uint8Array, codec: CompressionName): Uint8Array<ArrayBuffer> {
  const { attributes, compression } = readBatchHeader(batch);
  const compressed = batch.subarray(BATCH_HEADER_BYTES);
  const records = decompress(compressionName(compression), compressed, DECOMPRESSED_BATCH_BYTES_MAX);
  const recompressed = compress(codec, records);
  const bytes = new Uint8Array(BATCH_HEADER_BYTES + recompressed.length);
  bytes.set(batch.subarray(0, BATCH_HEADER_BYTES));
  bytes.set(recompressed, BATCH_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setInt32(FIELD.batchLength, bytes.length - BATCH_OVERHEAD_BYTES);
  view.setInt16(FIELD.attributes, (attributes & ~ATTRIBUTE_COMPRESSION) | COMPRESSION_NAMES.indexOf(codec));
  view.setUint32(FIELD.crc, crc32c(bytes, FIELD.attributes, bytes.length));
  return bytes;
}
