/** Which records go to which partition, in which batches. Pure: the same request on the same topic gives the same plan. */

import { type BatchOptions, encodeBatch, encodedRecordBytes } from "../log/batch.ts";
import { BATCH_HEADER_BYTES, type BatchHeader } from "../log/batch-header.ts";
import type { CompressionName } from "../log/compression.ts";
import type { PackedRecords } from "../log/packed-records.ts";
import { partitionForKey } from "../log/partitioner.ts";
import type { NewRecord, RecordSequence } from "../log/record.ts";
import { EdgelogError, type Failure, failure } from "../model/errors.ts";
import { HTTP_BATCH_BYTES_TARGET, TIMESTAMP_MS_MAX } from "../model/limits.ts";
import { noSuchPartition } from "../model/topic.ts";
import { type TopicConfigOverrides, type TopicConfigs, topicConfigs } from "../model/topic-configs.ts";

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
  /** Of records that do not name theirs; absent: by key. */
  readonly partition?: number | undefined;
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
export function planProduce(topic: PlannedTopic, records: PackedRecords, options: PlanOptions): ProducePlan {
  const configs = topicConfigs(topic.configs);
  const keyless = Math.floor(options.random * topic.partitions);
  const maxBytes = Math.min(configs.maxMessageBytes, configs.segmentBytes);
  const targetBytes = Math.min(maxBytes, HTTP_BATCH_BYTES_TARGET);
  const groups = new Map<number, Group[]>();
  for (let index = 0; index < records.length; index++) {
    const record = records.at(index);
    if (record === undefined) break;
    const partition =
      records.partition(index) ??
      options.partition ??
      (record.key === null ? keyless : partitionForKey(record.key, topic.partitions));
    if (partition >= topic.partitions) {
      throw refused(noSuchPartition(topic, partition), index);
    }
    const bytes = encodedRecordBytes(record);
    const problem =
      timestampProblem(record.timestamp, configs, options.nowMs) ?? sizeProblem(record, bytes, configs);
    if (problem !== undefined) throw refused(problem, index);
    const group = groups.get(partition);
    const last = group?.at(-1);
    // A repeated request is recognized by its one batch.
    if (last !== undefined && (options.producer !== undefined || last.bytes + bytes <= targetBytes)) {
      last.indexes.push(index);
      last.bytes += bytes;
    } else {
      const next = { indexes: [index], bytes: BATCH_HEADER_BYTES + bytes };
      if (group === undefined) groups.set(partition, [next]);
      else group.push(next);
    }
  }
  const encode = (indexes: readonly number[]): Uint8Array =>
    encodeFitting(
      records.pick(indexes),
      {
        ...options.producer,
        ...(options.compression !== undefined && { compression: options.compression }),
      },
      maxBytes,
    );
  const planned = ({ indexes }: Group): PlannedBatch =>
    options.producer === undefined
      ? { indexes, encode: () => encode(indexes) }
      : wholeBatch(indexes, encode(indexes), configs);
  return new Map([...groups].map(([partition, group]) => [partition, group.map(planned)]));
}

/** Why the topic does not take a raw batch, as far as that can be known before its leader is asked. */
export function rawBatchProblem(topic: PlannedTopic, batch: BatchHeader, nowMs: number): Failure | undefined {
  const configs = topicConfigs(topic.configs);
  // No time (-1) is as good as now.
  const times = [batch.baseTimestamp, batch.maxTimestamp].filter((timestamp) => timestamp >= 0);
  const problem = times.map((timestamp) => timestampProblem(timestamp, configs, nowMs)).find(Boolean);
  return problem ?? batchSizeProblem(batch.sizeInBytes, configs);
}

interface Group {
  readonly indexes: number[];
  /** At most what the batch will have. */
  bytes: number;
}

function wholeBatch(indexes: readonly number[], batch: Uint8Array, configs: TopicConfigs): PlannedBatch {
  const problem = batchSizeProblem(batch.length, configs);
  if (problem === undefined) return { indexes, encode: () => batch };
  throw new EdgelogError(
    problem.error,
    `The records of an idempotent request make one batch; ${problem.message}. Send fewer.`,
  );
}

function batchSizeProblem(bytes: number, configs: TopicConfigs): Failure | undefined {
  const { maxMessageBytes, segmentBytes } = configs;
  if (bytes > maxMessageBytes) {
    return failure(
      "MESSAGE_TOO_LARGE",
      `its ${bytes} bytes are more than max.message.bytes, ${maxMessageBytes}`,
    );
  }
  if (bytes <= segmentBytes) return undefined;
  return failure("RECORD_LIST_TOO_LARGE", `its ${bytes} bytes are more than segment.bytes, ${segmentBytes}`);
}

function timestampProblem(timestamp: number, configs: TopicConfigs, nowMs: number): Failure | undefined {
  if (timestamp > TIMESTAMP_MS_MAX) {
    return failure("INVALID_TIMESTAMP", `${timestamp} is no time; the last one is ${TIMESTAMP_MS_MAX}`);
  }
  if (configs.messageTimestampType !== "CreateTime") return undefined;
  const aheadMs = timestamp - nowMs;
  if (aheadMs <= configs.messageTimestampAfterMaxMs && -aheadMs <= configs.messageTimestampBeforeMaxMs) {
    return undefined;
  }
  return failure(
    "INVALID_TIMESTAMP",
    `timestamp ${timestamp} is too far from the leader's clock (message.timestamp.before.max.ms, message.timestamp.after.max.ms)`,
  );
}

/** Of the record in a batch of its own. The estimate errs upwards; near the limit the batch itself decides. */
function sizeProblem(record: NewRecord, bytes: number, configs: TopicConfigs): Failure | undefined {
  if (batchSizeProblem(BATCH_HEADER_BYTES + bytes, configs) === undefined) return undefined;
  return batchSizeProblem(encodeBatch([record]).length, configs);
}

/** Compression may make a batch larger; then it is left out. */
function encodeFitting(records: RecordSequence, options: BatchOptions, maxBytes: number): Uint8Array {
  const batch = encodeBatch(records, options);
  return batch.length > maxBytes ? encodeBatch(records, { ...options, compression: "none" }) : batch;
}

function refused({ error, message }: Failure, index: number): EdgelogError {
  return new EdgelogError(error, `records.${index}: ${message}`);
}
