/** At rest, everything that is stored belongs to something that lives. */

import { setTimeout as delay } from "node:timers/promises";
import { SegmentState } from "../../durable-objects/partition/log-store.ts";
import { partitionObjectName } from "../../src/model/ids.ts";
import { segmentObjectKey } from "../../src/tier/segment-object.ts";
import type { Api } from "./api.ts";
import { OBJECTS_PATH, SEGMENTS_PATH, type StoredObject, type StoredSegment } from "./inspection.ts";
import type { World } from "./world.ts";

const ASK_AGAIN_MS = 250;
/** Segments that have an object, or may have one while an upload is under way. */
const IN_R2: ReadonlySet<number> = new Set([
  SegmentState.uploading,
  SegmentState.uploaded,
  SegmentState.remote,
  SegmentState.deleting,
]);

/**
 * Waits, for `msMax` at most, until every object in R2 is that of a segment of a live partition and has its size, and
 * every segment that should have an object has one; reports what is otherwise then.
 */
export async function verifyStorage(world: World, api: Api, msMax: number): Promise<void> {
  const deadlineMs = Date.now() + msMax;
  for (;;) {
    const problems = await storageProblems(world, api);
    if (problems.length === 0) return;
    if (Date.now() > deadlineMs) {
      for (const problem of problems) world.violated(problem);
      return;
    }
    await delay(ASK_AGAIN_MS);
  }
}

async function storageProblems(world: World, api: Api): Promise<string[]> {
  const problems: string[] = [];
  const expected = new Map<string, StoredSegment>();
  for (const topic of world.topics) {
    for (const partition of topic.histories.keys()) {
      const identity = { topicId: topic.id, partition, placement: 0 };
      const segments = await stored<StoredSegment>(
        api,
        `${SEGMENTS_PATH}?object=${partitionObjectName(identity)}`,
      );
      for (const segment of segments) {
        const key = segmentObjectKey(identity, segment.generation, segment.baseOffset);
        if (IN_R2.has(segment.state)) expected.set(key, segment);
        if (segment.state === SegmentState.deleting) problems.push(`${key} is still to be deleted`);
        if (segment.state === SegmentState.uploading) problems.push(`${key} is still to be uploaded`);
        if (segment.state === SegmentState.sealed) problems.push(`${key} is sealed and not uploaded`);
      }
    }
  }
  const objects = await stored<StoredObject>(api, OBJECTS_PATH);
  for (const { key, size } of objects) {
    const segment = expected.get(key);
    if (segment === undefined) problems.push(`orphan: ${key} (${size} bytes) belongs to no segment`);
    else if (segment.bytes !== size) problems.push(`${key} has ${size} bytes, its segment ${segment.bytes}`);
    expected.delete(key);
  }
  for (const [key, { state }] of expected)
    problems.push(`${key} is not in R2, though its segment is in state ${state}`);
  world.counts.set("objects at rest", objects.length);
  return problems;
}

async function stored<T>(api: Api, path: string): Promise<T[]> {
  const answer = await api.get(path, (json) => (Array.isArray(json) ? json : []));
  if (answer.kind === "ok") return answer.value;
  throw new Error(`${path}: ${answer.kind === "lost" ? answer.reason : answer.text}`);
}
