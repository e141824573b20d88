import type { TopicId } from "../../../src/model/ids.ts";
import type { TopicPartitions } from "../rpc.ts";

/** Partitions by topic, ascending; no topic without any. */
export type Assignment = Readonly<Record<TopicId, readonly number[]>>;

export const NOTHING: Assignment = {};

export function assignmentOf(topics: readonly TopicPartitions[]): Assignment {
  return from(topics.map(({ topicId, partitions }) => [topicId, partitions]));
}

export function topicPartitionsOf(assignment: Assignment): TopicPartitions[] {
  return Object.entries(assignment).map(([topicId, partitions]) => ({ topicId, partitions }));
}

/** Those partitions of each topic for which this is true. */
export function filter(
  assignment: Assignment,
  isKept: (topicId: TopicId, partition: number) => boolean,
): Assignment {
  return from(
    Object.entries(assignment).map(([topicId, partitions]) => [
      topicId,
      partitions.filter((partition) => isKept(topicId, partition)),
    ]),
  );
}

export function union(one: Assignment, other: Assignment): Assignment {
  const topicIds = new Set([...Object.keys(one), ...Object.keys(other)]);
  return from(
    [...topicIds].map((topicId) => [topicId, [...(one[topicId] ?? []), ...(other[topicId] ?? [])]]),
  );
}

/** Whether it contains a partition; cheaper than searching for each. */
export function membership(assignment: Assignment): (topicId: TopicId, partition: number) => boolean {
  const sets = new Map(
    Object.entries(assignment).map(([topicId, partitions]) => [topicId, new Set(partitions)]),
  );
  return (topicId, partition) => sets.get(topicId)?.has(partition) ?? false;
}

export function isSubset(part: Assignment, whole: Assignment): boolean {
  const has = membership(whole);
  return Object.entries(part).every(([topicId, partitions]) =>
    partitions.every((partition) => has(topicId, partition)),
  );
}

export function sameAssignment(one: Assignment, other: Assignment): boolean {
  if (one === other) return true;
  const topicIds = Object.keys(one);
  return (
    topicIds.length === Object.keys(other).length &&
    topicIds.every((topicId) => {
      const [a = [], b = []] = [one[topicId], other[topicId]];
      return a.length === b.length && a.every((partition, index) => partition === b[index]);
    })
  );
}

export function isNothing(assignment: Assignment): boolean {
  return Object.keys(assignment).length === 0;
}

export function countOf(assignment: Assignment): number {
  return Object.values(assignment).reduce((sum, partitions) => sum + partitions.length, 0);
}

/** As stored: `{"<topic id>": "0-3,7"}`. A member may have every partition of a topic of 100,000. */
export function writeAssignment(assignment: Assignment): Record<TopicId, string> {
  return Object.fromEntries(
    Object.entries(assignment).map(([topicId, partitions]) => [topicId, writeRanges(partitions)]),
  );
}

export function readAssignment(stored: Readonly<Record<TopicId, string>>): Assignment {
  return from(Object.entries(stored).map(([topicId, ranges]) => [topicId, readRanges(ranges)]));
}

function from(entries: readonly (readonly [TopicId, readonly number[]])[]): Assignment {
  const assignment: Record<TopicId, readonly number[]> = {};
  for (const [topicId, partitions] of entries) {
    if (partitions.length === 0) continue;
    const before = assignment[topicId] ?? [];
    assignment[topicId] = [...new Set([...before, ...partitions])].sort((a, b) => a - b);
  }
  return assignment;
}

function writeRanges(partitions: readonly number[]): string {
  const ranges: string[] = [];
  for (let index = 0; index < partitions.length; ) {
    const first = partitions[index] ?? 0;
    let length = 1;
    while (partitions[index + length] === first + length) length++;
    ranges.push(length === 1 ? String(first) : `${first}-${first + length - 1}`);
    index += length;
  }
  return ranges.join(",");
}

function readRanges(text: string): number[] {
  return text.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
