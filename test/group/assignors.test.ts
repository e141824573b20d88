import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Assignment, countOf, membership } from "../../durable-objects/group/consumer/assignment.ts";
import { ASSIGNORS, type AssignableMember } from "../../durable-objects/group/consumer/assignors.ts";

const TOPICS = ["t0", "t1", "t2", "t3"];

/** Members with subscriptions and what they had before, of whom some may have had what is no longer theirs to have. */
const groups = fc.record({
  counts: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: TOPICS.length, maxLength: TOPICS.length }),
  members: fc.array(
    fc.record({
      subscription: fc.subarray(TOPICS),
      had: fc.dictionary(fc.constantFrom(...TOPICS), fc.uniqueArray(fc.nat(25), { maxLength: 6 })),
    }),
    { minLength: 1, maxLength: 8 },
  ),
});

type Group = typeof groups extends fc.Arbitrary<infer T> ? T : never;

function membersOf({ members }: Group): AssignableMember[] {
  return members.map(({ subscription, had }, index) => ({
    memberId: `m${index}`,
    instanceId: null,
    topicIds: new Set(subscription),
    target: had,
  }));
}

function partitionsOf({ counts }: Group, members: readonly AssignableMember[]): Map<string, number> {
  const subscribed = TOPICS.filter((topic) => members.some(({ topicIds }) => topicIds.has(topic)));
  return new Map(subscribed.map((topic) => [topic, counts[TOPICS.indexOf(topic)] ?? 0]));
}

function assign(name: string, members: readonly AssignableMember[], partitions: ReadonlyMap<string, number>) {
  const assignment = ASSIGNORS.get(name)?.(members, partitions);
  if (assignment === undefined) throw new Error(`there is no assignor ${name}`);
  return assignment;
}

describe.each([...ASSIGNORS.keys()])("the %s assignor", (name) => {
  test("gives every partition to one member, which is subscribed to it", () => {
    fc.assert(
      fc.property(groups, (group) => {
        const members = membersOf(group);
        const partitions = partitionsOf(group, members);
        const assigned = assign(name, members, partitions);
        const given: string[] = [];
        for (const { memberId, topicIds } of members) {
          for (const [topicId, indexes] of Object.entries(assigned.get(memberId) ?? {})) {
            expect(topicIds.has(topicId)).toBe(true);
            given.push(...indexes.map((index) => `${topicId}/${index}`));
          }
        }
        const all = [...partitions].flatMap(([topicId, count]) =>
          Array.from({ length: count }, (_, index) => `${topicId}/${index}`),
        );
        expect(given.toSorted()).toEqual(all.toSorted());
      }),
    );
  });
});

describe("the uniform assignor", () => {
  const loads = (assigned: ReadonlyMap<string, Assignment>) => [...assigned.values()].map(countOf);

  test("gives members of one subscription the same number, give or take one", () => {
    fc.assert(
      fc.property(groups, (group) => {
        const members = membersOf(group).map((member) => ({ ...member, topicIds: new Set(TOPICS) }));
        const counts = loads(assign("uniform", members, partitionsOf(group, members)));
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("leaves nobody with two more than another who could have one of them", () => {
    fc.assert(
      fc.property(groups, (group) => {
        const members = membersOf(group);
        const assigned = assign("uniform", members, partitionsOf(group, members));
        for (const rich of members) {
          const riches = assigned.get(rich.memberId) ?? {};
          for (const poor of members) {
            const couldHave = Object.keys(riches).some((topicId) => poor.topicIds.has(topicId));
            const poverty = countOf(assigned.get(poor.memberId) ?? {});
            if (couldHave) expect(countOf(riches) - poverty).toBeLessThanOrEqual(1);
          }
        }
      }),
    );
  });

  test("moves no more than it must when a member comes or goes", () => {
    fc.assert(
      fc.property(groups, fc.boolean(), (group, comes) => {
        const all = membersOf(group).map((member) => ({ ...member, topicIds: new Set(TOPICS), target: {} }));
        const first = comes ? all.slice(0, -1) : all;
        if (first.length === 0 || all.length < 2) return;
        const partitions = partitionsOf(group, all);
        const before = assign("uniform", first, partitions);
        const then = (comes ? all : all.slice(0, -1)).map((member) => ({
          ...member,
          target: before.get(member.memberId) ?? {},
        }));
        const after = assign("uniform", then, partitions);
        const total = [...partitions.values()].reduce((sum, count) => sum + count, 0);
        let moved = 0;
        for (const [memberId, assignment] of after) {
          const had = membership(before.get(memberId) ?? {});
          for (const [topicId, indexes] of Object.entries(assignment)) {
            moved += indexes.filter((index) => !had(topicId, index)).length;
          }
        }
        // The newcomer's share, or the share of who has gone.
        expect(moved).toBeLessThanOrEqual(Math.ceil(total / (comes ? then.length : first.length)));
      }),
    );
  });

  test("divides 100,000 partitions among 1,000 members in little time", () => {
    const members = Array.from({ length: 1_000 }, (_, index) => ({
      memberId: `m${index}`,
      instanceId: null,
      topicIds: new Set(["t0"]),
      target: {},
    }));
    const startedMs = performance.now();
    const counts = loads(assign("uniform", members, new Map([["t0", 100_000]])));
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(new Set(counts)).toEqual(new Set([100]));
  });
});
