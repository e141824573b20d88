import { describe, expect, test } from "vitest";
import { PartitionHistory, type Rule, type SeenRecord, type Snapshot, type Violation } from "./history.ts";

/** Batch 0 to 3 of two records each, in the order in which one producer sends them, at offsets 0, 2, 4, 6. */
function history(retention = {}): PartitionHistory {
  const log = new PartitionHistory("topic-0", retention);
  for (let id = 0; id < 4; id++) {
    log.sent({ id, lane: "producer", order: id, records: 2, timestampMs: 1_000 + id });
  }
  return log;
}

function batch(id: number, baseOffset: number): SeenRecord[] {
  return [0, 1].map((index) => ({ offset: baseOffset + index, batch: id, index }));
}

function snapshot(records: readonly SeenRecord[], more: Partial<Snapshot> = {}): Snapshot {
  const logStart = records[0]?.offset ?? 0;
  const logEnd = (records.at(-1)?.offset ?? -1) + 1;
  return { logStart, logEnd, records, bytes: records.length * 10, takenAtMs: 5_000, ...more };
}

function rules(violations: readonly Violation[]): Rule[] {
  return violations.map(({ rule }) => rule);
}

function whole(log: PartitionHistory, records: readonly SeenRecord[], more: Partial<Snapshot> = {}): Rule[] {
  return rules(log.whole(snapshot(records, more), log.mark(), "reader"));
}

describe("a history of a log", () => {
  test("that contains what was acknowledged, and perhaps what was not, has no violation", () => {
    const log = history();
    expect(log.acked(0, 0, "round 1")).toEqual([]);
    expect(log.acked(1, 2, "round 1")).toEqual([]);
    expect(whole(log, [...batch(0, 0), ...batch(1, 2)])).toEqual([]);
    expect(whole(log, [...batch(0, 0), ...batch(1, 2), ...batch(2, 4)])).toEqual([]);
    expect(log.acked(2, 4, "round 2")).toEqual([]);
    expect(log.ends()).toEqual({ logStart: 0, logEnd: 6 });
  });

  test("shows an acknowledged record that is gone as loss, at the end and in the middle", () => {
    const log = history();
    for (const id of [0, 1, 2]) log.acked(id, 2 * id, "round 1");
    expect(whole(log, [...batch(0, 0), ...batch(1, 2)])).toEqual(["loss"]);
    expect(whole(log, [...batch(0, 0), ...batch(2, 4)])).toEqual(["hole", "loss", "reorder"]);
    expect(whole(log, [])).toEqual(["loss", "loss", "loss"]);
  });

  test("does not call loss what was acknowledged after the snapshot was begun", () => {
    const log = history();
    log.acked(0, 0, "round 1");
    const begun = log.mark();
    log.acked(1, 2, "round 1");
    expect(log.whole(snapshot(batch(0, 0)), begun, "reader")).toEqual([]);
    expect(rules(log.whole(snapshot(batch(0, 0)), log.mark(), "reader"))).toEqual(["loss"]);
  });

  test("shows what was read and then vanished as loss, though it was never acknowledged", () => {
    const log = history();
    expect(log.followed(0, batch(0, 0), "follower")).toEqual([]);
    expect(whole(log, [])).toEqual(["loss"]);
  });

  test("shows a batch that lies in the log twice as a duplicate", () => {
    const log = history();
    log.acked(0, 0, "round 1");
    expect(whole(log, [...batch(0, 0), ...batch(0, 2)])).toContain("duplicate");
  });

  test("shows two acknowledgements of one batch with different offsets as a duplicate", () => {
    const log = history();
    expect(log.acked(0, 0, "round 1")).toEqual([]);
    expect(log.acked(0, 0, "round 2")).toEqual([]);
    expect(rules(log.acked(0, 2, "round 3"))).toEqual(["duplicate"]);
  });

  test("shows an acknowledgement of an offset that belongs to another batch", () => {
    const log = history();
    log.acked(0, 0, "round 1");
    expect(rules(log.acked(1, 1, "round 1"))).toEqual(["changed record"]);
  });

  test("shows batches of one producer in another order than they were sent, and one left out", () => {
    expect(whole(history(), [...batch(1, 0), ...batch(0, 2)])).toEqual(["reorder"]);
    expect(whole(history(), [...batch(0, 0), ...batch(2, 2)])).toEqual(["reorder"]);
    const others = history();
    others.sent({ id: 9, lane: "another", order: 7, records: 2, timestampMs: 0 });
    expect(whole(others, [...batch(0, 0), ...batch(9, 2), ...batch(1, 4)])).toEqual([]);
  });

  test("shows holes and repeated offsets to whoever reads on", () => {
    expect(rules(history().followed(0, batch(0, 2), "follower"))).toEqual(["hole"]);
    expect(whole(history(), [...batch(0, 0), ...batch(1, 3)])).toEqual(["hole"]);
    const log = history();
    log.followed(0, batch(0, 0), "follower");
    expect(rules(log.followed(2, batch(0, 0), "follower"))).toEqual(["duplicate"]);
  });

  test("shows a record that changed after it was read", () => {
    const log = history();
    log.followed(0, batch(0, 0), "follower");
    expect(whole(log, batch(1, 0))).toContain("changed record");
  });

  test("shows a batch of which only the beginning is stored", () => {
    expect(whole(history(), batch(0, 0).slice(0, 1))).toEqual(["torn batch"]);
  });

  test("shows records that nobody sent to this partition, as those of a deleted topic", () => {
    expect(whole(history(), batch(77, 0))).toEqual(["foreign record", "foreign record"]);
    expect(whole(history(), [{ offset: 0, batch: 0, index: 2 }])).toContain("foreign record");
    expect(rules(history().acked(77, 0, "round 1"))).toEqual(["foreign record"]);
  });

  test("shows ends that move back, except to those who asked before they had moved", () => {
    const log = history();
    expect(log.bounds(2, 6, "a")).toEqual([]);
    expect(rules(log.bounds(0, 6, "b"))).toEqual(["log start moved back"]);
    expect(rules(log.bounds(2, 4, "b"))).toEqual(["log end moved back"]);
    log.acked(3, 6, "round 1");
    expect(rules(log.bounds(2, 6, "b"))).toEqual(["log end moved back"]);
    const asked = log.ends();
    log.bounds(4, 10, "a");
    expect(log.bounds(2, 8, "b", asked)).toEqual([]);
  });

  test("lets records go that DeleteRecords asked for, and no others", () => {
    const log = history();
    for (const id of [0, 1, 2]) log.acked(id, 2 * id, "round 1");
    log.deletionSent(2);
    expect(whole(log, [...batch(1, 2), ...batch(2, 4)])).toEqual([]);
    expect(whole(log, batch(2, 4))).toEqual(["too much deleted"]);
  });

  test("lets records go when more than retention.bytes are left, and not when less is", () => {
    const log = history({ bytes: 40 });
    for (const id of [0, 1, 2]) log.acked(id, 2 * id, "round 1");
    expect(whole(log, [...batch(1, 2), ...batch(2, 4)], { bytes: 40 })).toEqual([]);
    expect(whole(log, batch(2, 4), { bytes: 39 })).toEqual(["too much deleted"]);
  });

  test("lets records go that are older than retention.ms, and not those that are younger", () => {
    const log = history({ ms: 100 });
    for (const id of [0, 1, 2]) log.acked(id, 2 * id, "round 1");
    expect(whole(log, [...batch(1, 2), ...batch(2, 4)], { takenAtMs: 1_101 })).toEqual([]);
    expect(whole(log, batch(2, 4), { takenAtMs: 1_101 })).toEqual(["too much deleted"]);
    expect(whole(log, batch(2, 4), { takenAtMs: 1_102 })).toEqual([]);
  });
});
