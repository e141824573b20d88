/**
 * The entrypoint `Edgelog`: the cluster for other Workers of the account, without HTTP. A service binding is itself the
 * permission: whoever may deploy a Worker with one may do all that it offers, and no token is asked for.
 */

import { WorkerEntrypoint } from "cloudflare:workers";
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from "../../durable-objects/partition/rpc.ts";
import { Cluster } from "../cluster/cluster.ts";
import { requestBytes } from "../cluster/in-flight.ts";
import { produceRecords } from "../cluster/produce-records.ts";
import type { Env } from "../env.ts";
import { visibleBatches } from "../log/committed-batches.ts";
import { PackedRecords } from "../log/packed-records.ts";
import { type RecordInput, toNewRecord } from "../log/record-input.ts";
import { EdgelogError, isFailure, unwrap } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import { HTTP_BODY_BYTES_MAX, HTTP_RECORDS_PER_REQUEST_MAX, READ_BYTES_DEFAULT } from "../model/limits.ts";
import { startOffsets } from "../subscribe/start-offsets.ts";
import { answering, serviceError } from "./errors.ts";
import { fetchOptions, partitionIndex, produceOptions, subscription, topicName } from "./options.ts";
import { takeRecords } from "./records.ts";
import type {
  EdgelogService,
  FetchedRecords,
  FetchRecordsOptions,
  ProduceOptions,
  ServiceSubscription,
  StoredRecord,
  SubscribeOptions,
} from "./service.ts";
import { ServiceFeed } from "./subscription.ts";

export class Edgelog extends WorkerEntrypoint<Env> implements EdgelogService {
  produce(
    topic: string,
    records: RecordInput | readonly RecordInput[],
    options: ProduceOptions = {},
  ): Promise<StoredRecord[]> {
    return answering(async () => {
      const nowMs = Date.now();
      const packed = pack(Array.isArray(records) ? records : [records]);
      const how = { nowMs, ...produceOptions(options) };
      if (how.producer !== undefined) requirePartition(packed, how.partition);
      const hold = requestBytes.hold();
      try {
        // They will be put into batches.
        hold.grow(2 * packed.bytes);
        const outcomes = await produceRecords(new Cluster(this.env), topicName(topic), packed, how);
        const failed = outcomes.find(isFailure);
        if (failed !== undefined) throw serviceError(failed, { outcomes });
        return outcomes.flatMap((outcome) => (isFailure(outcome) ? [] : [outcome]));
      } finally {
        hold.release();
      }
    });
  }

  initProducerId(): Promise<{ producerId: number; producerEpoch: number }> {
    return answering(async () => {
      const producerId = await new Cluster(this.env).allocateProducerId();
      return { producerId, producerEpoch: 0 };
    });
  }

  fetchRecords(topic: string, partition: number, options: FetchRecordsOptions = {}): Promise<FetchedRecords> {
    return answering(async () => {
      const cluster = new Cluster(this.env);
      const { isolationLevel: isolation, ...wanted } = fetchOptions(options);
      const { from, maxBytes = READ_BYTES_DEFAULT, minBytes = 1, maxWaitMs = 0 } = wanted;
      const [name, index] = [topicName(topic), partitionIndex(partition)];
      const isNumber = typeof from === "number";
      for (let isAgain = false; ; isAgain = true) {
        const offset = isNumber ? from : await startOf(cluster, name, index, from, isolation);
        const request = { offset, maxBytes, minBytes: Math.min(minBytes, maxBytes), maxWaitMs, isolation };
        const answer = await cluster.readWaiting(name, index, request);
        if (isFailure(answer)) {
          // Retention may move the log start between the two questions.
          if (!isNumber && !isAgain && answer.error === "OFFSET_OUT_OF_RANGE") continue;
          const { error, message, ...bounds } = answer;
          throw serviceError({ error, message }, bounds);
        }
        const { highWatermark, logStartOffset } = answer;
        const visible = visibleBatches(answer, offset);
        const { records, next } = takeRecords(visible.batches, offset, visible.next);
        return { records, nextOffset: next, highWatermark, logStartOffset };
      }
    });
  }

  subscribe(topic: string, options: SubscribeOptions = {}): Promise<ServiceSubscription> {
    return answering(async () => {
      const cluster = new Cluster(this.env);
      const known = unwrap(await cluster.topic(topicName(topic)));
      const { starts: asked, isolation } = subscription(known, options);
      const starts = await startOffsets(cluster, known, asked, isolation, "checked");
      if (!isFailure(starts)) return new ServiceFeed(cluster, known, starts, isolation);
      const { error, message, logStartOffset, highWatermark } = starts;
      throw serviceError(
        { error, message },
        {
          ...(logStartOffset !== undefined && { logStartOffset }),
          ...(highWatermark !== undefined && { highWatermark }),
        },
      );
    });
  }
}

function pack(records: readonly RecordInput[]): PackedRecords {
  if (records.length === 0) throw new EdgelogError("INVALID_REQUEST", "there are no records to produce");
  if (records.length > HTTP_RECORDS_PER_REQUEST_MAX) {
    const problem = `one call takes at most ${HTTP_RECORDS_PER_REQUEST_MAX} records; make several`;
    throw new EdgelogError("CONTENT_TOO_LARGE", problem);
  }
  const packed = new PackedRecords();
  for (const [index, record] of records.entries()) {
    try {
      packed.push(
        toNewRecord(record),
        record.partition === undefined ? undefined : partitionIndex(record.partition),
      );
    } catch (error) {
      if (!(error instanceof EdgelogError)) throw error;
      throw new EdgelogError(error.code, `records.${index}: ${error.message}`);
    }
    if (packed.bytes > HTTP_BODY_BYTES_MAX) {
      throw new EdgelogError(
        "CONTENT_TOO_LARGE",
        `one call takes records of at most ${HTTP_BODY_BYTES_MAX} bytes; make several`,
      );
    }
  }
  return packed;
}

/** An idempotent call is one batch of one partition. */
function requirePartition(records: PackedRecords, partition: number | undefined): void {
  const every = Array.from({ length: records.length }, (_, index) => records.partition(index) ?? partition);
  if (partition !== undefined && every.every((named) => named === partition)) return;
  throw new EdgelogError(
    "INVALID_REQUEST",
    "with a producer, partition names the one that all records go to",
  );
}

async function startOf(
  cluster: Cluster,
  topic: string,
  partition: number,
  from: "earliest" | "latest" | { readonly timestamp: number },
  isolation: Isolation,
): Promise<number> {
  const timestamp =
    typeof from === "object" ? from.timestamp : from === "earliest" ? EARLIEST_TIMESTAMP : LATEST_TIMESTAMP;
  const { offset } = unwrap(await cluster.listOffsets(topic, partition, timestamp, isolation));
  return offset >= 0 ? offset : startOf(cluster, topic, partition, "latest", isolation);
}
