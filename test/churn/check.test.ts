import { describe, expect, test } from "vitest";
import { type ChurnHistory, checkChurn, type MemberLog } from "./check.ts";
import { type MemberEvent, parseEvents } from "./events.ts";

/** A member that has partition 0 from `fromMs` on, and what it says then. */
function member(name: string, fromMs: number, ...events: readonly MemberEvent[]): MemberLog {
  const assigned = { kind: "assigned", ms: fromMs, ownership: fromMs, partitions: [0] } as const;
  return { name, end: "stopped", endMs: 1_000, events: [assigned, ...events] };
}

function processed(ms: number, ownership: number, first: number, last: number): MemberEvent {
  return { kind: "processed", ms, ownership, partition: 0, first, last };
}

const committed = (ms: number, offset: number): MemberEvent => ({
  kind: "committed",
  ms,
  offsets: [[0, offset]],
});
const gone = (kind: "revoked" | "lost", ms: number): MemberEvent => ({ kind, ms, partitions: [0] });
const asked = (ms: number, offset: number) => ({ askedMs: ms, answeredMs: ms + 1, offsets: [offset] });

/** One after the other, handing over at 50. */
const GOOD: ChurnHistory = {
  ends: [10],
  members: [
    member("a", 10, processed(20, 10, 0, 4), committed(21, 3), gone("revoked", 50)),
    member("b", 60, processed(70, 60, 3, 9), committed(80, 10)),
  ],
  committed: [asked(30, 3), asked(90, 10)],
};

function violations(changes: Partial<ChurnHistory>): readonly string[] {
  return checkChurn({ ...GOOD, ...changes }).violations;
}

describe("a group's history", () => {
  test("in which owners follow one another, and process again what was not committed, is good", () => {
    const { violations, counts } = checkChurn(GOOD);
    expect(violations).toEqual([]);
    expect(counts.get("records processed again")).toBe(2);
  });

  test.each<[string, Partial<ChurnHistory>, RegExp]>([
    ["a record that nobody has processed", { ends: [11] }, /records 10 to 10 of 11 were never processed/],
    [
      "an owner that begins after what was processed",
      {
        members: [
          member("a", 10, processed(20, 10, 5, 9)),
          member("b", 1_060, processed(1_070, 1_060, 0, 4)),
        ],
      },
      /begins at 5, and only those before 0/,
    ],
    [
      "an owner that leaves records out",
      {
        members: [
          member("a", 10, processed(20, 10, 0, 4), processed(21, 10, 6, 9)),
          ...GOOD.members.slice(1),
        ],
      },
      /goes from 4 to 6/,
    ],
    [
      "an owner that goes back",
      { members: [member("a", 10, processed(20, 10, 0, 9), processed(21, 10, 9, 9))] },
      /goes back from 9 to 9/,
    ],
    [
      "an owner that goes on after it has given up",
      { members: [member("a", 10, gone("revoked", 15), processed(20, 10, 0, 9))] },
      /5 ms after it was given up/,
    ],
    [
      "a member that has records of what is not its own",
      { members: [...GOOD.members, member("c", 1_060, processed(90, 7, 0, 1))] },
      /c, partition 0, has 0 to 1 which it was never assigned/,
    ],
    [
      "two owners at a time",
      { members: [member("a", 10, processed(20, 10, 0, 4), gone("revoked", 61)), ...GOOD.members.slice(1)] },
      /is a's until 61 and b's from 60 on/,
    ],
    [
      "a committed offset that goes back",
      { committed: [asked(75, 4), asked(76, 3), asked(90, 10)] },
      /goes back from 4 to 3/,
    ],
    [
      "a commit that is lost",
      { committed: [asked(30, 2), asked(90, 10)] },
      /2 is committed, after a commit of 3/,
    ],
    [
      "a commit of what was not processed",
      { committed: [asked(30, 6), asked(90, 10)] },
      /6 is committed, and only those before 5/,
    ],
    ["an end that is not committed", { committed: [asked(90, 9)] }, /9 is committed in the end/],
    [
      "a record that is another",
      { members: [...GOOD.members, member("c", 500, { kind: "wrong", ms: 1, text: "not that" })] },
      /c: not that/,
    ],
  ])("with %s is not", (_, changes, violation) => {
    expect(violations(changes)).toContainEqual(expect.stringMatching(violation));
  });

  test("may have an owner that had lost the partition and did not know yet", () => {
    const members = [member("a", 10, processed(20, 10, 0, 4), gone("lost", 61)), ...GOOD.members.slice(1)];
    expect(violations({ members })).toEqual([]);
  });
});

test("what a killed member was about to say is left out", () => {
  expect(
    parseEvents("assigned 5 1 0,2\nprocessed 6 1 2 0 9\ncommitted 7 2:10\nprocessed 8 1 2 10 1"),
  ).toEqual([
    { kind: "assigned", ms: 5, ownership: 1, partitions: [0, 2] },
    { kind: "processed", ms: 6, ownership: 1, partition: 2, first: 0, last: 9 },
    { kind: "committed", ms: 7, offsets: [[2, 10]] },
  ]);
});
