/** What must be stored, and nothing else, when everything has come to rest. */

import { CONTROLLER_NAME } from "../../durable-objects/controller/rpc.ts";
import { SegmentState } from "../../durable-objects/partition/log-store.ts";
import { blob, integer, type SqlRow } from "../../durable-objects/partition/storage.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { partitionObjectName } from "../../src/model/ids.ts";
import type { Topic } from "../../src/model/topic.ts";
import { segmentObjectKey } from "../../src/tier/segment-object.ts";
import type { DurableStorage } from "./durable-storage.ts";
import type { Workload } from "./workload.ts";

/** What is not at rest yet, or never will be. */
export function unrest(workload: Workload): string[] {
  const found: string[] = [];
  const expected = new Map<string, number>();
  for (const topic of workload.existing) {
    for (let partition = 0; partition < topic.partitions; partition++)
      found.push(...ofPartition(workload, topic, partition, expected));
  }
  for (const [key, { length }] of workload.platform.bucket.objects) {
    const bytes = expected.get(key);
    if (bytes === undefined) found.push(`orphan: ${key} (${length} bytes) belongs to no segment`);
    else if (bytes !== length) found.push(`${key} has ${length} bytes, its segment ${bytes}`);
    expected.delete(key);
  }
  for (const key of expected.keys()) found.push(`${key} is not in R2, though its segment says so`);
  return [...found, ...ofDeletedTopics(workload)];
}

function ofPartition(
  { platform }: Workload,
  topic: Topic,
  partition: number,
  expected: Map<string, number>,
): string[] {
  const identity = { topicId: topic.id, partition, placement: 0 };
  const { storage } = platform.host("PARTITION", partitionObjectName(identity));
  if (storage.isBlank) return [];
  const found: string[] = [];
  const tiers = topic.configs["remote.log.copy.disable"] !== "true";
  for (const row of query(storage, "SELECT base_offset, generation, bytes, state FROM segments")) {
    const [state, baseOffset] = [integer(row, "state"), integer(row, "base_offset")];
    const key = segmentObjectKey(identity, integer(row, "generation"), baseOffset);
    const isRemote = state === SegmentState.uploaded || state === SegmentState.remote;
    if (isRemote) expected.set(key, integer(row, "bytes"));
    if (state === SegmentState.deleting) found.push(`${key} is still to be deleted`);
    if (state === SegmentState.uploading && tiers) found.push(`${key} is still to be uploaded`);
    // Nothing says whether an object has come of it.
    if (state === SegmentState.uploading && !tiers && platform.bucket.objects.has(key))
      expected.set(key, integer(row, "bytes"));
    if (state === SegmentState.sealed && tiers) found.push(`${key} is sealed and not uploaded`);
  }
  return found;
}

/** What is in both places is the same in both. */
export function differences({ platform, existing }: Workload): string[] {
  const found: string[] = [];
  for (const topic of existing) {
    for (let partition = 0; partition < topic.partitions; partition++) {
      const identity = { topicId: topic.id, partition, placement: 0 };
      const { storage } = platform.host("PARTITION", partitionObjectName(identity));
      if (storage.isBlank) continue;
      const segments = "SELECT base_offset, generation FROM segments WHERE state = ?";
      for (const row of query(storage, segments, SegmentState.uploaded)) {
        const [baseOffset, generation] = [integer(row, "base_offset"), integer(row, "generation")];
        const key = segmentObjectKey(identity, generation, baseOffset);
        const local = tableBytes(storage, `segment_${baseOffset}_${generation}`);
        const remote = platform.bucket.objects.get(key) ?? new Uint8Array();
        if (!Buffer.from(local).equals(remote)) found.push(`${key} differs from its table`);
      }
    }
  }
  return found;
}

/** Nothing if there is no such table. */
function tableBytes(storage: DurableStorage, table: string): Uint8Array {
  const exists = query(storage, `SELECT 1 FROM sqlite_master WHERE name = '${table}'`).length > 0;
  if (!exists) return new Uint8Array();
  const groups = query(storage, `SELECT batches FROM ${table} ORDER BY base_offset`);
  return concatBytes(groups.map((group) => blob(group, "batches")));
}

function ofDeletedTopics({ platform, deleted }: Workload): string[] {
  const found: string[] = [];
  for (const { topic } of deleted) {
    for (let partition = 0; partition < topic.partitions; partition++) {
      const name = partitionObjectName({ topicId: topic.id, partition, placement: 0 });
      const { storage } = platform.host("PARTITION", name);
      if (!storage.isBlank) found.push(`${name} is still stored, though its topic is deleted`);
    }
  }
  const { storage } = platform.host("CONTROLLER", CONTROLLER_NAME);
  for (const table of ["deleted_topics", "walks"]) {
    if (query(storage, `SELECT 1 FROM ${table}`).length > 0) found.push(`${table} is not empty`);
  }
  return found;
}

function query(storage: DurableStorage, sql: string, ...bindings: number[]): SqlRow[] {
  return storage.exec(sql, bindings, () => undefined);
}
