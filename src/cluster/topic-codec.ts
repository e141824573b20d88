import { validateBatch } from "../log/batch-header.ts";
import { COMPRESSION_NAMES, type CompressionName } from "../log/compression.ts";
import { recompressBatch } from "../log/recompress.ts";
import { EdgelogError, type Failure, failure, isFailure } from "../model/errors.ts";
import type { Topic } from "../model/topic.ts";

/**
 * Kafka's `compression.type`: a batch in another codec than its topic's is put into that one before the leader gets it.
 * The same bytes where the topic leaves the choice to the producer, or the producer has made it.
 */
export function inTopicCodec({ configs }: Pick<Topic, "configs">, batch: Uint8Array): Uint8Array | Failure {
  const codec = codecOf(configs["compression.type"]?.trim());
  if (codec === undefined) return batch;
  // The leader would take the new CRC of damaged bytes for a good one.
  const header = validateBatch(batch);
  if (isFailure(header)) return header;
  if (COMPRESSION_NAMES[header.compression] === codec) return batch;
  try {
    return recompressBatch(batch, codec);
  } catch (error) {
    if (!(error instanceof EdgelogError)) throw error;
    return failure(error.code, error.message);
  }
}

function codecOf(compressionType: string | undefined): CompressionName | undefined {
  if (compressionType === "uncompressed") return "none";
  return COMPRESSION_NAMES.find((name) => name === compressionType);
}
