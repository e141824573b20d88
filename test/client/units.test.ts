/** The parts of the SDK that need no cluster. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BufferMemory } from "../../src/client/producer/buffer-memory.ts";
import { DeliveryTally } from "../../src/client/producer/delivery-tally.ts";
import { PartitionIdentity } from "../../src/client/producer/producer-ids.ts";
import { StickyPartitioner } from "../../src/client/producer/sticky-partitioner.ts";
import { toNewRecord } from "../../src/client/record.ts";
import { backoffMs } from "../../src/client/retry.ts";
import { encodeBatch } from "../../src/log/batch.ts";

const unreachable = () => expect.unreachable();

describe("sticky partitioning", () => {
  test("stays with a partition until batchSize bytes went there, then takes another", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 50 }),
        fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 300 }),
        (partitions, sizes) => {
          const sticky = new StickyPartitioner(1_000, () => 0);
          let bytes = 0;
          let present: number | undefined;
          for (const size of sizes) {
            const next = sticky.next(size, partitions);
            expect(next).toBeGreaterThanOrEqual(0);
            expect(next).toBeLessThan(partitions);
            if (present === undefined || bytes >= 1_000) {
              expect(next).not.toBe(present);
              bytes = 0;
            } else expect(next).toBe(present);
            present = next;
            bytes += size;
          }
        },
      ),
    );
  });

  test("with one partition there is no other", () => {
    const sticky = new StickyPartitioner(1, () => 0);
    expect([sticky.next(10, 1), sticky.next(10, 1)]).toEqual([0, 0]);
  });

  test("reaches every partition, the busy ones less often", () => {
    const counts = [0, 0, 0, 0];
    const sticky = new StickyPartitioner(1, (partition) => (partition === 3 ? 1_000_000 : 0));
    for (let i = 0; i < 10_000; i += 1) {
      const partition = sticky.next(1, 4);
      counts[partition] = (counts[partition] ?? 0) + 1;
    }
    const [a = 0, b = 0, c = 0, busy = 0] = counts;
    expect(Math.min(a, b, c)).toBeGreaterThan(2_000);
    expect(busy).toBeGreaterThan(0);
    expect(busy).toBeLessThan(Math.min(a, b, c));
  });
});

describe("buffer memory", () => {
  test("a small record does not overtake a large one that waits", () => {
    const memory = new BufferMemory(100, 60_000);
    const admitted: string[] = [];
    expect(memory.tryAcquire(80)).toBe(true);
    memory.wait(90, () => admitted.push("large"), unreachable);
    expect(memory.tryAcquire(1)).toBe(false);
    memory.wait(1, () => admitted.push("small"), unreachable);
    memory.release(80);
    expect(admitted).toEqual(["large", "small"]);
    expect(memory.usedBytes).toBe(91);
  });

  test("who leaves the line lets those behind go on", () => {
    const memory = new BufferMemory(100, 60_000);
    const admitted: string[] = [];
    memory.tryAcquire(80);
    const leave = memory.wait(90, unreachable, unreachable);
    memory.wait(20, () => admitted.push("next"), unreachable);
    leave();
    expect(admitted).toEqual(["next"]);
  });
});

test("a flush waits for what was sent before it, and for nothing else", async () => {
  const tally = new DeliveryTally();
  const before = [tally.enter(), tally.enter()];
  const flushed: string[] = [];
  const first = tally.settled().then(() => flushed.push("first"));
  const after = tally.enter();
  const second = tally.settled().then(() => flushed.push("second"));
  tally.leave(after);
  for (const generation of before) tally.leave(generation);
  await Promise.all([first, second]);
  expect(flushed).toEqual(["first", "second"]);
  await tally.settled();

  const early = tally.enter();
  let done = false;
  const third = tally.settled().then(() => {
    done = true;
  });
  const late = tally.enter();
  tally.leave(early);
  await third;
  expect(done).toBe(true);
  tally.leave(late);
});

describe("the identity of an idempotent producer", () => {
  const ids = (...list: number[]) => ({
    get: async (usedUp: number | undefined) => list.find((id) => id !== usedUp) ?? -1,
  });
  const retry = { firstMs: 1, maxMs: 1, deadlineMs: 0 };

  test("sequences follow each other and go from Int32.MAX on to 0", async () => {
    const identity = new PartitionIdentity(ids(7));
    await identity.prepare(retry);
    expect(identity.fields).toEqual({ producerId: 7, producerEpoch: 0, baseSequence: 0 });
    identity.advance(2 ** 31 - 1);
    expect(identity.fields.baseSequence).toBe(2 ** 31 - 1);
    identity.advance(3);
    expect(identity.fields.baseSequence).toBe(2);
  });

  test("a batch that is given up ends the epoch; when epochs are used up, a new id begins", async () => {
    const identity = new PartitionIdentity(ids(7, 8));
    await identity.prepare(retry);
    identity.advance(5);
    identity.startNextEpoch();
    expect(identity.fields).toEqual({ producerId: 7, producerEpoch: 1, baseSequence: 0 });
    for (let epoch = 1; epoch < 2 ** 15 - 1; epoch += 1) identity.startNextEpoch();
    expect(identity.fields.producerEpoch).toBe(2 ** 15 - 1);
    identity.startNextEpoch();
    await identity.prepare(retry);
    expect(identity.fields).toEqual({ producerId: 8, producerEpoch: 0, baseSequence: 0 });
  });
});

test("pauses double up to the longest, ±20 %", () => {
  const backoff = { firstMs: 100, maxMs: 1_000 };
  expect([1, 2, 3, 4, 5, 50].map((failures) => backoffMs(backoff, failures, () => 0.5))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect(backoffMs(backoff, 1, () => 0)).toBe(80);
  expect(backoffMs(backoff, 50, () => 1)).toBeCloseTo(1_200);
});

test("a record's time is refused before it shares a batch with others, or is one that a batch can hold", () => {
  const times = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constantFrom(8.64e15, 8.64e15 + 1, 2 ** 53 - 1, -1, 0),
  );
  fc.assert(
    fc.property(times, (timestamp) => {
      try {
        encodeBatch([toNewRecord({ timestamp })]);
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_RECORD" });
      }
    }),
  );
});

test.each(["hello", 5, null, undefined, ["a"], Uint8Array.of(1)])(
  "%j is no record: it would be stored as a tombstone",
  (value) => {
    // As a program without types calls it.
    expect(() => Reflect.apply(toNewRecord, undefined, [value])).toThrow(
      expect.objectContaining({ code: "INVALID_RECORD", message: expect.stringContaining("{ value: … }") }),
    );
  },
);
