/** ListOffsets by time, held against a whole log that has been read. */

import { EARLIEST_TIMESTAMP } from "../../durable-objects/partition/rpc.ts";
import { listOffset } from "../../src/cluster/list-offset.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import type { LogRecord } from "../../src/log/record.ts";
import { isFailure } from "../../src/model/errors.ts";
import type { LiveTopic, Workload } from "./workload.ts";

const LOOK_UPS = 3;

/** While nothing goes wrong and nothing is appended. `batches`: the whole log. */
export async function checkLookUpsByTime(
  workload: Workload,
  live: LiveTopic,
  partition: number,
  batches: readonly Uint8Array[],
): Promise<void> {
  const { platform, random } = workload;
  const logStart = live.records[partition]?.history.logStart ?? 0;
  const records = batches
    .flatMap((bytes) => [...decodeBatches(bytes)])
    .filter(({ offset }) => offset >= logStart);
  if (records.length === 0) return;
  const name = `${live.topic.name}-${partition}`;
  const leader = workload.leader(live, partition);
  for (let looks = 0; looks < LOOK_UPS; looks++) {
    const timestamp =
      (records[random.integer(0, records.length - 1)]?.timestamp ?? 0) + random.integer(-2, 2);
    const found = await listOffset(timestamp, {
      bucket: platform.bucket.reader,
      ask: (sought, fromOffset) =>
        leader.listOffsets({ topicVersion: live.topic.version, timestamp: sought, fromOffset }),
      run: (read) => read(),
    });
    // Retention may have moved the log start meanwhile.
    const start = await leader.listOffsets({
      topicVersion: live.topic.version,
      timestamp: EARLIEST_TIMESTAMP,
    });
    if (isFailure(found) || !("offset" in start)) {
      platform.violated(`${name}: ${timestamp} was looked up: ${JSON.stringify([found, start])}`);
      return;
    }
    platform.count("look-ups by time");
    const isRight = passedOver(records, found.offset, timestamp).every(({ offset }) => offset < start.offset);
    if (!isRight)
      platform.violated(`${name}: the first record at or after ${timestamp} is not at ${found.offset}`);
  }
}

/** The records that the answer should have named instead. */
function passedOver(records: readonly LogRecord[], found: number, timestamp: number): LogRecord[] {
  const sought = records.filter((record) => record.timestamp >= timestamp);
  const isOne = found === -1 || sought.some(({ offset }) => offset === found);
  return isOne ? sought.filter(({ offset }) => found === -1 || offset < found) : sought;
}
