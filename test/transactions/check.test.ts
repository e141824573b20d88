import { describe, expect, test } from "vitest";
import type { MemberLog } from "../churn/check.ts";
import { parseEvents } from "../churn/events.ts";
import { checkLoop, type LoopHistory, type SeenRecord, type View } from "./check.ts";
import { type Fate, outputValue } from "./output.ts";

const seen = (offset: number, inputPartition: number, inputOffset: number, fate: Fate = "commit") => ({
  offset,
  value: outputValue({ inputPartition, inputOffset, fate }),
});

const ABORTED = [seen(1, 0, 1, "abort"), seen(2, 1, 1, "abort")];
/** Of one partition of the output: two of the input, two records of each; markers are at 3 and 6. */
const COMMITTED = [seen(0, 0, 0), seen(4, 0, 1), seen(5, 1, 0), seen(7, 1, 1)];
const ALL = [COMMITTED[0], ...ABORTED, ...COMMITTED.slice(1)].filter((one) => one !== undefined);

function view(records: readonly SeenRecord[], isolation: View["isolation"] = "read_committed"): View {
  return { reader: "a reader", isolation, partitions: [records] };
}

function worker(...lines: readonly string[]): MemberLog {
  const events = parseEvents(lines.map((line) => `${line}\n`).join(""));
  return { name: "a worker", end: "stopped", endMs: 1_000, events };
}

const asked = (ms: number, ...offsets: readonly number[]) => ({ askedMs: ms, answeredMs: ms + 1, offsets });

const GOOD: LoopHistory = {
  ends: [2, 2],
  views: [view(COMMITTED), view(ALL, "read_uncommitted")],
  workers: [worker("assigned 1 1 0,1", "note 2 aborted 2", "committed 10 0:1", "committed 20 0:2,1:2")],
  committed: [asked(5, -1, -1), asked(15, 1, -1), asked(25, 2, 2)],
};

const committedView = (records: readonly SeenRecord[]): Partial<LoopHistory> => ({ views: [view(records)] });

describe("a loop's history", () => {
  test("in which every record was processed once is good", () => {
    const { violations, counts } = checkLoop(GOOD);
    expect(violations).toEqual([]);
    expect(counts.get("records of the input")).toBe(4);
    expect(counts.get("transactions committed")).toBe(2);
    expect(counts.get("transactions aborted")).toBe(1);
    expect(counts.get("records that only a reader, read_uncommitted, sees")).toBe(2);
  });

  test.each<[string, Partial<LoopHistory>, RegExp]>([
    [
      "a duplicate",
      committedView([...COMMITTED, seen(8, 0, 1)]),
      /record 1 of input partition 0 is there for/,
    ],
    [
      "a duplicate in another partition",
      {
        views: [
          { reader: "a reader", isolation: "read_committed", partitions: [COMMITTED, [seen(0, 0, 1)]] },
        ],
      },
      /partition 1: record 1 of input partition 0 is there for the second time/,
    ],
    [
      "a loss",
      committedView(COMMITTED.slice(0, -1)),
      /1 records of input partition 1 are missing, 1 the first/,
    ],
    ["a loss of all", committedView([]), /2 records of input partition 0 are missing, 0 the first/],
    [
      "a record of an aborted transaction",
      committedView([seen(0, 0, 0), seen(1, 0, 1, "abort"), ...COMMITTED.slice(2)]),
      /record 1 of input partition 0, is of a transaction that was to be aborted/,
    ],
    [
      "records out of order",
      committedView([seen(0, 0, 1), seen(4, 0, 0), ...COMMITTED.slice(2)]),
      /record 0 of input partition 0 comes after 1/,
    ],
    [
      "offsets out of order",
      committedView([seen(4, 0, 0), seen(0, 0, 1), ...COMMITTED.slice(2)]),
      /offset 0 of partition 0 comes after 4/,
    ],
    [
      "a record that is not the input's",
      committedView([...COMMITTED, { offset: 9, value: "?" }]),
      /offset 9 of partition 0 is no record of the input/,
    ],
    ["a record beyond the input", committedView([...COMMITTED, seen(9, 0, 2)]), /is no record of the input/],
    [
      "a committed record that a read_uncommitted reader does not see",
      { views: [view(COMMITTED), view(ALL.slice(0, -1), "read_uncommitted")] },
      /offset 7 of partition 0 is not what is committed there/,
    ],
    [
      "aborted records that nobody sees",
      { views: [view(COMMITTED), view(COMMITTED, "read_uncommitted")] },
      /sees 0 records more than are committed, and 2 were aborted/,
    ],
    [
      "readers that see different things",
      { views: [view(COMMITTED), { ...view(COMMITTED.with(3, seen(8, 1, 1))), reader: "another" }] },
      /a reader and another, read_committed: partition 0 differs/,
    ],
    [
      "committed offsets that go back",
      { committed: [asked(5, 2, 2), asked(25, 1, 2)] },
      /1 is committed after 2/,
    ],
    [
      "a commit that is forgotten",
      { committed: [asked(15, -1, -1), asked(25, 2, 2)] },
      /input partition 0: -1 is committed after 1/,
    ],
    [
      "a group that is not at the end",
      { committed: [asked(5, 1, -1)] },
      /input partition 1: -1 is committed in the end, its log ends at 2/,
    ],
    ["what a worker calls wrong", { workers: [worker("wrong 1 a thing")] }, /a worker: a thing/],
  ])("with %s is not", (_, changes, violation) => {
    expect(checkLoop({ ...GOOD, ...changes }).violations.join("\n")).toMatch(violation);
  });
});
