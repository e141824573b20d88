import { expect, test } from "vitest";
import { membersTable, offsetsTable } from "../../src/cli/group-tables.ts";
import type { GroupDescription } from "../../src/client/index.ts";

/** As a browser is: without a host that it could name. */
const GROUP: GroupDescription = {
  group: "tabs",
  type: "consumer",
  state: "Stable",
  protocolType: "consumer",
  protocol: "uniform",
  generation: null,
  groupEpoch: 1,
  assignmentEpoch: 1,
  members: [
    {
      memberId: "m",
      instanceId: null,
      clientId: "",
      clientHost: "",
      memberEpoch: 1,
      assignment: [{ topic: "clicks", partitions: [0, 2] }],
      targetAssignment: [],
    },
  ],
  partitions: [
    {
      topic: "clicks",
      partition: 0,
      committedOffset: null,
      leaderEpoch: null,
      metadata: null,
      committedAtMs: null,
      memberId: "m",
      logStartOffset: null,
      logEndOffset: null,
      lagRecords: null,
      lagMs: null,
      error: { code: "KAFKA_STORAGE_ERROR", message: "the leader failed" },
    },
  ],
  isPartial: false,
  lagRecords: 0,
  lagMs: null,
};

test("what is not known of a group's members and partitions is a dash, and a leader's error is named", () => {
  expect(membersTable(GROUP)[1]).toEqual(["m", "-", "-", "-", "1", "2", "clicks:0,2"]);
  expect(offsetsTable(GROUP)[1]).toEqual([
    "clicks",
    "0",
    "-",
    "-",
    "-",
    "KAFKA_STORAGE_ERROR",
    "m",
    "-",
    "-",
  ]);
});
