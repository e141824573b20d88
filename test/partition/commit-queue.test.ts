import { describe, expect, test } from "vitest";
import { type AssignedBatch, CommitQueue } from "../../durable-objects/partition/commit-queue.ts";
import { COMMIT_GROUP_BYTES_MAX } from "../../src/model/limits.ts";
import { SqliteStorage } from "./sqlite-storage.ts";

function batchAt(baseOffset: number, bytes = 100): AssignedBatch {
  return { bytes: new Uint8Array(bytes), baseOffset, nextOffset: baseOffset + 1, maxTimestamp: 1 };
}

/** A queue whose turns end when the test says so, and the base offsets of each group that it has written. */
function newQueue(write: () => void = () => undefined) {
  const storage = new SqliteStorage();
  const groups: number[][] = [];
  let turn = Promise.withResolvers<void>();
  const queue = new CommitQueue(
    storage,
    () => turn.promise,
    (batches) => {
      write();
      groups.push(batches.map(({ baseOffset }) => baseOffset));
    },
  );
  const endTurn = async () => {
    turn.resolve();
    turn = Promise.withResolvers<void>();
    await new Promise((resolve) => setImmediate(resolve));
  };
  /** As many turns without a batch as a group is given. */
  const beQuiet = async () => {
    await endTurn();
    await endTurn();
  };
  return { storage, groups, queue, endTurn, beQuiet };
}

describe("a commit queue", () => {
  test("writes a single batch after two turns that bring nothing else", async () => {
    const { queue, groups, endTurn } = newQueue();
    const added = queue.add(batchAt(0));
    await endTurn();
    expect(groups).toEqual([]);
    await endTurn();
    await added;
    expect(groups).toEqual([[0]]);
  });

  test("commits together what comes with every other turn, as large frames do", async () => {
    const { queue, groups, endTurn, beQuiet } = newQueue();
    void queue.add(batchAt(0));
    for (let offset = 1; offset < 5; offset++) {
      void queue.add(batchAt(offset));
      await endTurn();
      if (offset < 4) await endTurn();
    }
    expect(groups).toEqual([]);
    await beQuiet();
    expect(groups).toEqual([[0, 1, 2, 3, 4]]);
  });

  test("does not let a trickle of batches keep the first one waiting", async () => {
    const { queue, groups, endTurn } = newQueue();
    void queue.add(batchAt(0));
    for (let offset = 1; groups.length === 0 && offset < 1_000; offset++) {
      void queue.add(batchAt(offset));
      await endTurn();
    }
    expect(groups[0]?.length).toBeLessThan(50);
  });

  test("collects while a commit is in flight, and writes that after it is confirmed", async () => {
    const { queue, groups, storage, beQuiet } = newQueue();
    void queue.add(batchAt(0));
    await beQuiet();
    const later = [queue.add(batchAt(1)), queue.add(batchAt(2))];
    await beQuiet();
    expect(groups).toEqual([[0]]);
    await storage.confirm();
    await beQuiet();
    await Promise.all(later);
    expect(groups).toEqual([[0], [1, 2]]);
  });

  test("does not wait with a full group", async () => {
    const { queue, groups, beQuiet } = newQueue();
    void queue.add(batchAt(0));
    await beQuiet();
    void queue.add(batchAt(1, COMMIT_GROUP_BYTES_MAX - 10));
    expect(groups).toEqual([[0]]);
    void queue.add(batchAt(2));
    expect(groups).toEqual([[0], [1, 2]]);
  });

  test("tells everyone whose batch could not be written", async () => {
    const { queue, endTurn, beQuiet } = newQueue(() => {
      throw new Error("the disk is full");
    });
    const outcomes = Promise.allSettled([queue.add(batchAt(0)), queue.add(batchAt(1))]);
    await endTurn();
    await beQuiet();
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });
});
