import type { TopicId } from "../../../src/model/ids.ts";
import type { Assignment } from "./assignment.ts";
import type { AssignableMember } from "./assignors.ts";

/**
 * Kafka's `range`: of each topic a contiguous range for each member, in the order of their instance or member ids. Topics of
 * the same number of partitions and the same subscribers are divided alike, so that equal keys come together.
 */
export function assignRange(
  members: readonly AssignableMember[],
  partitions: ReadonlyMap<TopicId, number>,
): ReadonlyMap<string, Assignment> {
  const inOrder = members.toSorted((one, other) => compare(nameOf(one), nameOf(other)));
  const assignments = new Map<string, Record<TopicId, number[]>>(
    members.map(({ memberId }) => [memberId, {}]),
  );
  for (const [topicId, count] of partitions) {
    const subscribers = inOrder.filter(({ topicIds }) => topicIds.has(topicId));
    const least = Math.floor(count / subscribers.length);
    const remainder = count % subscribers.length;
    let next = 0;
    for (const [index, { memberId }] of subscribers.entries()) {
      const length = least + (index < remainder ? 1 : 0);
      const assignment = assignments.get(memberId);
      if (assignment === undefined || length === 0) continue;
      const first = next;
      assignment[topicId] = Array.from({ length }, (_, offset) => first + offset);
      next += length;
    }
  }
  return assignments;
}

/** A static member keeps its place when it starts again under another member id. */
function nameOf({ instanceId, memberId }: AssignableMember): string {
  return instanceId ?? memberId;
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
