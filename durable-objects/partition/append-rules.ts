/** What a batch must be for its topic and its partition to take it. */

import type { BatchHeader } from "../../src/log/batch-header.ts";
import { type Failure, failure } from "../../src/model/errors.ts";
import { LOCAL_BYTES_MAX, OFFSET_MAX, PENDING_APPEND_BYTES_MAX } from "../../src/model/limits.ts";
import type { TopicConfigs } from "../../src/model/topic-configs.ts";

/** MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP */
export function batchProblem(header: BatchHeader, configs: TopicConfigs, nowMs: number): Failure | undefined {
  const { maxMessageBytes, segmentBytes } = configs;
  if (header.sizeInBytes > maxMessageBytes) {
    return failure(
      "MESSAGE_TOO_LARGE",
      `the batch has ${header.sizeInBytes} bytes; the topic takes at most ${maxMessageBytes} (max.message.bytes)`,
    );
  }
  if (header.sizeInBytes > segmentBytes) {
    return failure(
      "RECORD_LIST_TOO_LARGE",
      `the batch has ${header.sizeInBytes} bytes; a segment of the topic has at most ${segmentBytes} (segment.bytes)`,
    );
  }
  return configs.messageTimestampType === "LogAppendTime" ? undefined : timeProblem(header, configs, nowMs);
}

/** Only the header is looked at: the base timestamp stands for the oldest record, the maximum for the newest. */
function timeProblem(header: BatchHeader, configs: TopicConfigs, nowMs: number): Failure | undefined {
  const { messageTimestampAfterMaxMs, messageTimestampBeforeMaxMs } = configs;
  if (header.maxTimestamp - nowMs > messageTimestampAfterMaxMs) {
    return failure(
      "INVALID_TIMESTAMP",
      `timestamp ${header.maxTimestamp} lies more than ${messageTimestampAfterMaxMs} ms ahead of the leader's clock (message.timestamp.after.max.ms)`,
    );
  }
  if (header.baseTimestamp >= 0 && nowMs - header.baseTimestamp > messageTimestampBeforeMaxMs) {
    return failure(
      "INVALID_TIMESTAMP",
      `timestamp ${header.baseTimestamp} lies more than ${messageTimestampBeforeMaxMs} ms behind the leader's clock (message.timestamp.before.max.ms)`,
    );
  }
  return undefined;
}

/** What a partition holds. */
export interface Holdings {
  /** In SQLite. */
  readonly localBytes: number;
  /** Taken, and not yet committed. */
  readonly waitingBytes: number;
  /** The first offset that has not been given out. */
  readonly assignedEnd: number;
}

/** THROTTLING_QUOTA_EXCEEDED: with it, more would wait in memory than may. */
export function waitingProblem({ sizeInBytes }: BatchHeader, waitingBytes: number): Failure | undefined {
  if (waitingBytes + sizeInBytes <= PENDING_APPEND_BYTES_MAX) return undefined;
  return failure(
    "THROTTLING_QUOTA_EXCEEDED",
    `${waitingBytes} bytes wait to be committed in this partition; retry`,
  );
}

/** THROTTLING_QUOTA_EXCEEDED, KAFKA_STORAGE_ERROR, INVALID_RECORD */
export function roomProblem(
  header: BatchHeader,
  configs: TopicConfigs,
  { localBytes, waitingBytes, assignedEnd }: Holdings,
): Failure | undefined {
  const tooMuch = waitingProblem(header, waitingBytes);
  if (tooMuch !== undefined) return tooMuch;
  if (localBytes + waitingBytes > LOCAL_BYTES_MAX) return fullProblem(configs, localBytes);
  if (assignedEnd > OFFSET_MAX - header.recordsCount) {
    return failure("INVALID_RECORD", "the partition has no offsets left");
  }
  return undefined;
}

function fullProblem(
  { remoteStorageEnable, remoteLogCopyDisable }: TopicConfigs,
  localBytes: number,
): Failure {
  const off = !remoteStorageEnable
    ? "remote.storage.enable=false"
    : remoteLogCopyDisable
      ? "remote.log.copy.disable=true"
      : undefined;
  return failure(
    "KAFKA_STORAGE_ERROR",
    off === undefined
      ? `${localBytes} bytes of this partition wait to be tiered to R2; appends resume when they are`
      : `this partition has ${localBytes} bytes in SQLite, which holds no more, and ${off} keeps them from R2; ` +
          "change that, lower retention.bytes or retention.ms, or delete records",
  );
}
