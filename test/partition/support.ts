import { env } from "cloudflare:workers";
import { CONTROLLER_NAME } from "../../durable-objects/controller/rpc.ts";
import type { PartitionLog } from "../../durable-objects/partition/partition-log.ts";
import type { AppendResult, LocalRead, ReadRequest } from "../../durable-objects/partition/rpc.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { type Failure, isFailure, unwrap } from "../../src/model/errors.ts";
import { partitionObjectName } from "../../src/model/ids.ts";
import type { Topic } from "../../src/model/topic.ts";

let topics = 0;

export function controller() {
  return env.CONTROLLER.get(env.CONTROLLER.idFromName(CONTROLLER_NAME));
}

export async function createTopic(configs: Record<string, string> = {}, partitions = 1): Promise<Topic> {
  const name = `topic-${++topics}-${crypto.randomUUID()}`;
  return unwrap(await controller().createTopic({ name, partitions, configs }));
}

/** The leader of a partition of a topic. */
export function leaderOf(topic: Topic, partition = 0): DurableObjectStub<PartitionLog> {
  const name = partitionObjectName({ topicId: topic.id, partition, placement: 0 });
  return env.PARTITION.get(env.PARTITION.idFromName(name));
}

export interface ProducerFields {
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A batch of records with these values; all of them have one timestamp. */
export function batchOf(
  values: readonly string[],
  timestamp = Date.now(),
  producer: ProducerFields = {},
): Uint8Array {
  return encodeBatch(
    values.map((value) => ({ timestamp, key: null, value: encoder.encode(value) })),
    producer,
  );
}

export async function append(
  topic: Topic,
  batch: Uint8Array,
  partition = 0,
): Promise<AppendResult | Failure> {
  return leaderOf(topic, partition).append({ topicVersion: topic.version, batch });
}

export async function appended(
  topic: Topic,
  values: readonly string[],
  timestamp?: number,
): Promise<AppendResult> {
  return unwrap(await append(topic, batchOf(values, timestamp)));
}

/** A read that must be answered from the leader itself. */
export async function readLocal(topic: Topic, request: Partial<ReadRequest> = {}): Promise<LocalRead> {
  const read = await leaderOf(topic).read({
    topicVersion: topic.version,
    offset: 0,
    maxBytes: 1_000_000,
    ...request,
  });
  if (isFailure(read)) throw new Error(`${read.error}: ${read.message}`);
  if (read.kind !== "local") throw new Error(`the read was answered by a ${read.kind} range`);
  return read;
}

export function valuesIn(batches: Uint8Array, fromOffset = 0): string[] {
  return [...decodeBatches(batches)]
    .filter(({ offset }) => offset >= fromOffset)
    .map(({ value }) => decoder.decode(value ?? new Uint8Array()));
}

export function offsetsIn(batches: Uint8Array): number[] {
  return [...decodeBatches(batches)].map(({ offset }) => offset);
}
