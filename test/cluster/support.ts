import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { CONTROLLER_NAME } from "../../durable-objects/controller/rpc.ts";
import { Cluster, type ReadOptions, type TopicReference } from "../../src/cluster/cluster.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { partitionObjectName } from "../../src/model/ids.ts";
import type { Topic } from "../../src/model/topic.ts";
import { ok } from "./results.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A stub past every cache: what is done with it, an isolate learns only by asking. */
export function controllerStub() {
  return env.CONTROLLER.get(env.CONTROLLER.idFromName(CONTROLLER_NAME));
}

export function leaderStub(topic: Topic, partition = 0) {
  const name = partitionObjectName({ topicId: topic.id, partition, placement: 0 });
  return env.PARTITION.get(env.PARTITION.idFromName(name));
}

export function uniqueName(): string {
  return `topic-${crypto.randomUUID()}`;
}

export async function createTopic(configs: Record<string, string> = {}, partitions = 1): Promise<Topic> {
  return ok(await controllerStub().createTopic({ name: uniqueName(), partitions, configs }));
}

export function batchOf(values: readonly string[], timestamp = Date.now()): Uint8Array {
  return encodeBatch(values.map((value) => ({ timestamp, key: null, value: encoder.encode(value) })));
}

export function valuesIn(batches: Uint8Array, fromOffset = 0): string[] {
  return [...decodeBatches(batches)]
    .filter(({ offset }) => offset >= fromOffset)
    .map(({ value }) => decoder.decode(value ?? new Uint8Array()));
}

/** Reads a partition from an offset to its end, as a consumer does. */
export async function readAll(
  cluster: Cluster,
  reference: TopicReference,
  partition = 0,
  request: Partial<ReadOptions> = {},
): Promise<string[]> {
  const values: string[] = [];
  for (let offset = request.offset ?? 0; ; ) {
    const { batches, highWatermark } = ok(
      await cluster.read(reference, partition, { maxBytes: 1_000_000, ...request, offset }),
    );
    const more = valuesIn(batches, offset);
    if (more.length === 0) {
      if (offset !== highWatermark)
        throw new Error(`nothing at ${offset}, but the log ends at ${highWatermark}`);
      return values;
    }
    values.push(...more);
    offset += more.length;
  }
}

/** Segments of about four records of {@link LONG}, in SQLite for as short as possible. */
export const TINY_SEGMENTS = {
  "segment.bytes": "1000",
  "local.retention.ms": "0",
  "edgelog.local.drop.delay.ms": "0",
  "file.delete.delay.ms": "0",
};
export const LONG = "x".repeat(150);

/** Fills a partition with records at `firstTimestamp`, a millisecond later, and so on, and tiers all but the newest. */
export async function fillAndTier(
  topic: Topic,
  records: number,
  firstTimestamp = Date.now(),
): Promise<string[]> {
  const cluster = new Cluster(env);
  const values = Array.from({ length: records }, (_, i) => `${i} ${LONG}`);
  for (const [i, value] of values.entries()) {
    ok(await cluster.append(topic, 0, batchOf([value], firstTimestamp + i)));
  }
  for (let runs = 0; runs < 5; runs++) await runDurableObjectAlarm(leaderStub(topic));
  // What the leader still has in memory it would answer from there.
  await evictDurableObject(leaderStub(topic));
  return values;
}

export async function objectKeys(topic: Topic): Promise<string[]> {
  const { objects } = await env.SEGMENTS.list({ prefix: `${topic.id}/` });
  return objects.map(({ key }) => key);
}
