/** Which records go to which partition, in which batches. Pure: the same request on the same topic gives the same plan. */

import { type BatchOptions, encodeBatch, encodedRecordBytes } from "../log/batch.ts";
import { BATCH_HEADER_BYTES } from "../log/batch-header.ts";
import type { CompressionName } from "../log/compression.ts";
import { partitionForKey } from "../log/partitioner.ts";
import type { NewRecord } from "../log/record.ts";
import { EdgelogError } from "../model/errors.ts";
import { HTTP_BATCH_BYTES_TARGET } from "../model/limits.ts";
import { type TopicConfigOverrides, topicConfigs } from "../model/topic-configs.ts";

export interface RecordToProduce {
  readonly record: NewRecord;
  /** Absent: by key, or `keylessPartition`. */
  readonly partition?: number | undefined;
}

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
}

/** What a plan depends on of a topic, which may be one that is yet to be created. */
export interface PlannedTopic {
  readonly name: string;
  readonly partitions: number;
  readonly configs: TopicConfigOverrides;
}

export interface PlanOptions {
  readonly nowMs: number;
  /** From 0 to 1: where records without key and partition go, all of them. */
  readonly random: number;
  readonly compression?: CompressionName | undefined;
  readonly producer?: ProducerIdentity | undefined;
}

export interface PlannedBatch {
  /** Indexes of its records in the request, in order. */
  readonly indexes: readonly number[];
  readonly encode: () => Uint8Array;
}

/** Partition → its batches, in the order in which they must be appended. */
export type ProducePlan = ReadonlyMap<number, readonly PlannedBatch[]>;

/**
 * @throws EdgelogError for what would be refused whatever happens, so that nothing of the request is stored:
 *   UNKNOWN_TOPIC_OR_PARTITION, MESSAGE_TOO_LARGE, INVALID_TIMESTAMP
 */
export function planProduce(
  topic: PlannedTopic,
  records: readonly RecordToProduce[],
  options: PlanOptions,
): ProducePlan {
  const { maxMessageBytes, ...configs } = topicConfigs(topic.configs);
  const keyless = Math.floor(options.random * topic.partitions);
  const targetBytes = Math.min(maxMessageBytes, HTTP_BATCH_BYTES_TARGET);
  const groups = new Map<number, { indexes: number[]; bytes: number }[]>();

  for (const [index, { record, partition: asked }] of records.entries()) {
    const partition =
      asked ?? (record.key === null ? keyless : partitionForKey(record.key, topic.partitions));
    if (partition >= topic.partitions) {
      throw refused(
        "UNKNOWN_TOPIC_OR_PARTITION",
        index,
        `topic ${topic.name} has ${topic.partitions} partitions, no ${partition}`,
      );
    }
    if (configs.messageTimestampType === "CreateTime") {
      const aheadMs = record.timestamp - options.nowMs;
      if (aheadMs > configs.messageTimestampAfterMaxMs || -aheadMs > configs.messageTimestampBeforeMaxMs) {
        throw refused(
          "INVALID_TIMESTAMP",
          index,
          `timestamp ${record.timestamp} is too far from the leader's clock (message.timestamp.before.max.ms, message.timestamp.after.max.ms)`,
        );
      }
    }
    const bytes = encodedRecordBytes(record);
    // The estimate errs upwards; near the limit the batch itself decides.
    if (BATCH_HEADER_BYTES + bytes > maxMessageBytes && encodeBatch([record]).length > maxMessageBytes) {
      throw refused(
        "MESSAGE_TOO_LARGE",
        index,
        `the record alone makes a batch larger than max.message.bytes, ${maxMessageBytes}`,
      );
    }
    let batches = groups.get(partition);
    if (batches === undefined) {
      batches = [];
      groups.set(partition, batches);
    }
    const last = batches.at(-1);
    if (last !== undefined && last.bytes + bytes <= targetBytes) {
      last.indexes.push(index);
      last.bytes += bytes;
    } else {
      batches.push({ indexes: [index], bytes: BATCH_HEADER_BYTES + bytes });
    }
  }
  if (options.producer !== undefined && [...groups.values()].some((batches) => batches.length > 1)) {
    throw new EdgelogError(
      "MESSAGE_TOO_LARGE",
      `The records of an idempotent request must fit into one batch of ${targetBytes} bytes, so that a repeated request is recognized; send fewer.`,
    );
  }

  const encode = ({ indexes }: { readonly indexes: readonly number[] }): Uint8Array =>
    encodeFitting(
      indexes.flatMap((index) => records[index]?.record ?? []),
      { ...options.producer, ...(options.compression !== undefined && { compression: options.compression }) },
      maxMessageBytes,
    );
  return new Map(
    [...groups].map(([partition, batches]) => [
      partition,
      batches.map((batch) => ({ indexes: batch.indexes, encode: () => encode(batch) })),
    ]),
  );
}

/** Compression may make a batch larger; then it is left out. */
function encodeFitting(records: readonly NewRecord[], options: BatchOptions, maxBytes: number): Uint8Array {
  const batch = encodeBatch(records, options);
  return batch.length > maxBytes ? encodeBatch(records, { ...options, compression: "none" }) : batch;
}

function refused(
  error: "INVALID_TIMESTAMP" | "MESSAGE_TOO_LARGE" | "UNKNOWN_TOPIC_OR_PARTITION",
  index: number,
  message: string,
) {
  return new EdgelogError(error, `records.${index}: ${message}`);
}
