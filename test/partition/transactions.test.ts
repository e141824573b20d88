import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PartitionLeader } from "../../durable-objects/partition/leader.ts";
import type { JoinTransactionRequest } from "../../durable-objects/transaction/rpc.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { batchHeaders } from "../../src/log/batch-header.ts";
import type { AbortedTransaction } from "../../src/log/committed-batches.ts";
import { markerTypeOf } from "../../src/log/control-batch.ts";
import { failure, isFailure } from "../../src/model/errors.ts";
import { PENDING_APPEND_BYTES_MAX } from "../../src/model/limits.ts";
import { settle, TOPIC, wake } from "./leader-world.ts";
import { SqliteStorage } from "./sqlite-storage.ts";

const MAX = 1_000_000;

/** The coordinators of all transactional ids: every producer may write for the transaction that it has begun last. */
class Coordinators {
  #nowMs = 100;
  readonly asked: JoinTransactionRequest[] = [];
  readonly startedAtMs = new Map<number, number>();

  begin(producerId: number): void {
    this.startedAtMs.set(producerId, ++this.#nowMs);
  }

  decide(): number {
    return ++this.#nowMs;
  }

  readonly joinTransaction = async (_id: string, request: JoinTransactionRequest) => {
    this.asked.push(request);
    const startedAtMs = this.startedAtMs.get(request.producerId);
    return startedAtMs === undefined ? failure("TRANSACTION_ABORTABLE") : { startedAtMs };
  };
}

interface Write {
  readonly producerId?: number;
  readonly epoch?: number;
  readonly sequence: number;
  readonly isTransactional?: boolean;
  readonly value?: Uint8Array | null;
}

function write(
  leader: PartitionLeader,
  { producerId = 7, epoch = 0, sequence, isTransactional = true, value = null }: Write,
) {
  const batch = encodeBatch([{ timestamp: 1_000, key: null, value }], {
    producerId,
    producerEpoch: epoch,
    baseSequence: sequence,
    transactional: isTransactional,
  });
  const transaction = { transactionalId: `of ${producerId}`, adds: false };
  return leader.append({ topicVersion: 1, batch, ...(isTransactional && { transaction }) });
}

interface End {
  readonly producerId?: number;
  readonly epoch?: number;
  readonly committed?: boolean;
  readonly decidedAtMs: number;
}

function end(leader: PartitionLeader, { producerId = 7, epoch = 0, committed = true, decidedAtMs }: End) {
  return leader.writeTransactionMarker({
    topicVersion: 1,
    producerId,
    producerEpoch: epoch,
    committed,
    decidedAtMs,
  });
}

async function readCommitted(leader: PartitionLeader, offset = 0, maxBytes = MAX) {
  const read = await leader.read({ topicVersion: 1, offset, maxBytes, isolation: "read_committed" });
  if (isFailure(read) || read.kind !== "local") throw new Error("the read was not answered from here");
  return read;
}

const world = () => {
  const storage = new SqliteStorage();
  storage.confirmsAtOnce = true;
  const coordinators = new Coordinators();
  return { storage, coordinators, leader: wake(storage, coordinators) };
};

describe("the first batch of a transaction in a partition", () => {
  test("is written when the coordinator knows of it, and those after it without asking", async () => {
    const { coordinators, leader } = world();
    coordinators.begin(7);
    expect(await write(leader, { sequence: 0 })).toMatchObject({ baseOffset: 0 });
    expect(await write(leader, { sequence: 1 })).toMatchObject({ baseOffset: 1 });
    expect(coordinators.asked).toEqual([
      {
        producerId: 7,
        producerEpoch: 0,
        adds: false,
        participant: { kind: "partition", topicId: TOPIC.id, partition: 0 },
      },
    ]);
    await end(leader, { decidedAtMs: coordinators.decide() });
    coordinators.begin(7);
    expect(await write(leader, { sequence: 2 })).toMatchObject({ baseOffset: 3 });
    expect(coordinators.asked).toHaveLength(2);
  });

  test("is refused in the coordinator's words, and nothing is written", async () => {
    const { leader } = world();
    expect(await write(leader, { sequence: 0 })).toMatchObject({ error: "TRANSACTION_ABORTABLE" });
    expect(leader.bounds()).toMatchObject({ highWatermark: 0, lastStableOffset: 0 });
  });

  test("can be sent again where the coordinator could not be asked", async () => {
    const { storage } = world();
    const leader = wake(storage, { joinTransaction: () => Promise.reject(new Error("replaced")) });
    expect(await write(leader, { sequence: 0 })).toMatchObject({ error: "COORDINATOR_NOT_AVAILABLE" });
  });

  test("is refused without its transactional id", async () => {
    const { leader } = world();
    const batch = encodeBatch([{ timestamp: 1, key: null, value: null }], {
      producerId: 7,
      producerEpoch: 0,
      baseSequence: 0,
      transactional: true,
    });
    expect(await leader.append({ topicVersion: 1, batch })).toMatchObject({ error: "INVALID_TXN_STATE" });
  });

  test("keeps its place before those that came while the coordinator was asked", async () => {
    const { storage, coordinators } = world();
    coordinators.begin(7);
    const answered = Promise.withResolvers<void>();
    const leader = wake(storage, {
      joinTransaction: async (id, request) => {
        await answered.promise;
        return coordinators.joinTransaction(id, request);
      },
    });
    const first = write(leader, { sequence: 0 });
    const second = write(leader, { sequence: 1 });
    await settle();
    const third = write(leader, { sequence: 2 });
    answered.resolve();
    expect(await Promise.all([first, second, third])).toMatchObject([
      { baseOffset: 0 },
      { baseOffset: 1 },
      { baseOffset: 2 },
    ]);
    expect(coordinators.asked).toHaveLength(1);
  });

  test("is refused if the transaction ends while the coordinator's answer is on its way", async () => {
    const { storage, coordinators } = world();
    const answered = Promise.withResolvers<void>();
    const leader = wake(storage, {
      joinTransaction: async () => {
        await answered.promise;
        return { startedAtMs: 101 };
      },
    });
    const batch = write(leader, { sequence: 0 });
    await end(leader, { committed: false, decidedAtMs: 102 });
    answered.resolve();
    expect(await batch).toMatchObject({ error: "INVALID_TXN_STATE" });
    expect(coordinators.asked).toEqual([]);
    expect(leader.bounds()).toMatchObject({ highWatermark: 1, lastStableOffset: 1 });
  });

  test("is refused for now where more would wait for coordinators than memory has room for", async () => {
    const { storage } = world();
    const answered = Promise.withResolvers<void>();
    const leader = wake(storage, {
      joinTransaction: async () => {
        await answered.promise;
        return { startedAtMs: 101 };
      },
    });
    const value = new Uint8Array(1_000_000);
    const writes = Array.from({ length: 20 }, (_, sequence) =>
      write(leader, { producerId: sequence, sequence: 0, value }),
    );
    await settle();
    answered.resolve();
    const refused = (await Promise.all(writes)).filter(isFailure);
    expect(new Set(refused.map(({ error }) => error))).toEqual(new Set(["THROTTLING_QUOTA_EXCEEDED"]));
    expect(leader.bounds().highWatermark).toBe(20 - refused.length);
    expect(refused.length).toBe(20 - Math.floor(PENDING_APPEND_BYTES_MAX / 1_000_100));
  });

  test("begins none behind the marker, however close the two come", async () => {
    for (let steps = 0; steps < 20; steps++) {
      const { storage } = world();
      const answered = Promise.withResolvers<void>();
      const leader = wake(storage, {
        joinTransaction: async () => {
          await answered.promise;
          return { startedAtMs: 101 };
        },
      });
      const batch = write(leader, { sequence: 0 });
      await settle();
      answered.resolve();
      for (let step = 0; step < steps; step++) await Promise.resolve();
      await Promise.all([batch, end(leader, { committed: false, decidedAtMs: 102 })]);
      const { highWatermark, lastStableOffset } = leader.bounds();
      expect(lastStableOffset, `after ${steps} steps`).toBe(highWatermark);
    }
  });
});

describe("a producer with an open transaction", () => {
  test("may write nothing outside of it", async () => {
    const { coordinators, leader } = world();
    coordinators.begin(7);
    await write(leader, { sequence: 0 });
    expect(await write(leader, { sequence: 1, isTransactional: false })).toMatchObject({
      error: "INVALID_TXN_STATE",
    });
  });

  test("may write nothing outside of it at a higher epoch either, which its marker could not end", async () => {
    const { coordinators, leader } = world();
    coordinators.begin(7);
    await write(leader, { sequence: 0 });
    expect(await write(leader, { epoch: 1, sequence: 0, isTransactional: false })).toMatchObject({
      error: "INVALID_TXN_STATE",
    });
    expect(await end(leader, { decidedAtMs: coordinators.decide() })).toBeNull();
    expect(leader.bounds()).toMatchObject({ highWatermark: 2, lastStableOffset: 2 });
  });

  test("whose epoch its marker raises begins again at sequence 0, and fences the epoch before", async () => {
    const { storage, coordinators, leader } = world();
    coordinators.begin(7);
    await write(leader, { sequence: 0 });
    await end(leader, { epoch: 1, decidedAtMs: coordinators.decide() });
    for (const now of [leader, wake(storage, coordinators)]) {
      coordinators.begin(7);
      expect(now.lastStableOffset).toBe(2);
      expect(await write(now, { sequence: 1 })).toMatchObject({ error: "INVALID_PRODUCER_EPOCH" });
      expect(await write(now, { epoch: 1, sequence: 1 })).toMatchObject({
        error: "OUT_OF_ORDER_SEQUENCE_NUMBER",
      });
    }
    expect(await write(leader, { epoch: 1, sequence: 0 })).toMatchObject({ baseOffset: 2 });
  });

  test("is not forgotten however long it does not write", async () => {
    const { storage, coordinators } = world();
    let nowMs = 1_000;
    const leader = wake(storage, { ...coordinators, clock: { now: () => nowMs } });
    coordinators.begin(7);
    await write(leader, { sequence: 0 });
    await write(leader, { producerId: 8, sequence: 0, isTransactional: false });
    nowMs += 2 * 24 * 3_600_000;
    leader.roll();
    const producers = await leader.activeProducers({ topicVersion: 1 });
    expect(producers).toMatchObject([{ producerId: 7, currentTransactionStartOffset: 0 }]);
    expect(wake(storage, coordinators).lastStableOffset).toBe(0);
  });
});

describe("a marker", () => {
  test("that comes a second time is answered and not written, also after a wake", async () => {
    const { storage, coordinators, leader } = world();
    coordinators.begin(7);
    await write(leader, { sequence: 0 });
    const decidedAtMs = coordinators.decide();
    await end(leader, { decidedAtMs });
    coordinators.begin(7);
    await write(leader, { sequence: 1 });
    for (const now of [leader, wake(storage, coordinators)]) {
      expect(await end(now, { decidedAtMs })).toBeNull();
      expect(now.bounds()).toMatchObject({ highWatermark: 3, lastStableOffset: 2 });
    }
  });

  test("that comes a second time while the first waits for a commit is answered when that is written", async () => {
    const { storage, coordinators, leader } = world();
    storage.confirmsAtOnce = false;
    coordinators.begin(7);
    await write(leader, { sequence: 0 });
    const decidedAtMs = coordinators.decide();
    const first = end(leader, { decidedAtMs });
    await settle();
    expect(leader.bounds()).toMatchObject({ highWatermark: 1, lastStableOffset: 0 });
    expect(await end(leader, { decidedAtMs })).toBeNull();
    expect(leader.bounds()).toMatchObject({ highWatermark: 2, lastStableOffset: 2 });
    expect(await first).toBeNull();
  });

  test("of an epoch that another has taken over from is refused", async () => {
    const { coordinators, leader } = world();
    coordinators.begin(7);
    await write(leader, { epoch: 3, sequence: 0 });
    expect(await end(leader, { epoch: 2, decidedAtMs: coordinators.decide() })).toMatchObject({
      error: "INVALID_PRODUCER_EPOCH",
    });
  });

  test("comes first in a partition that was added to a transaction and never written to", async () => {
    const { leader } = world();
    expect(await end(leader, { decidedAtMs: 102 })).toBeNull();
    const { batches } = await readCommitted(leader);
    expect(markerTypeOf(batches)).toBe("commit");
  });

  test("of a deleted topic is refused", async () => {
    const { coordinators, leader } = world();
    coordinators.begin(7);
    await write(leader, { sequence: 0 });
    leader.retire();
    expect(await end(leader, { decidedAtMs: coordinators.decide() })).toMatchObject({
      error: "UNKNOWN_TOPIC_ID",
    });
  });
});

describe("the last stable offset", () => {
  test("is where the first open transaction begins, whatever ends after it", async () => {
    const { storage, coordinators, leader } = world();
    for (const producerId of [1, 2]) coordinators.begin(producerId);
    await write(leader, { producerId: 9, sequence: 0, isTransactional: false });
    await write(leader, { producerId: 1, sequence: 0 });
    await write(leader, { producerId: 2, sequence: 0 });
    await end(leader, { producerId: 2, decidedAtMs: coordinators.decide() });
    for (const now of [leader, wake(storage, coordinators)]) {
      expect(now.bounds()).toMatchObject({ highWatermark: 4, lastStableOffset: 1 });
      const latest = { topicVersion: 1, timestamp: -1 };
      expect(await now.listOffsets(latest)).toMatchObject({ offset: 4 });
      expect(await now.listOffsets({ ...latest, isolation: "read_committed" })).toMatchObject({ offset: 1 });
    }
    await end(leader, { producerId: 1, decidedAtMs: coordinators.decide() });
    expect(leader.bounds()).toMatchObject({ highWatermark: 5, lastStableOffset: 5 });
  });

  test("ends what a read_committed reader gets, and what it finds by time", async () => {
    const { coordinators, leader } = world();
    coordinators.begin(7);
    await write(leader, { producerId: 9, sequence: 0, isTransactional: false });
    await write(leader, { sequence: 0 });
    await write(leader, { producerId: 9, sequence: 1, isTransactional: false });
    const { batches } = await readCommitted(leader);
    expect([...batchHeaders(batches)].map(({ header }) => header.baseOffset)).toEqual([0]);
    expect((await readCommitted(leader, 1)).batches).toHaveLength(0);
    expect((await readCommitted(leader, 3)).batches).toHaveLength(0);
    const found = { topicVersion: 1, timestamp: 1_000, isolation: "read_committed" as const };
    expect(await leader.listOffsets({ ...found, fromOffset: 0 })).toMatchObject({ kind: "batch" });
    expect(await leader.listOffsets({ ...found, fromOffset: 1 })).toMatchObject({ offset: -1 });
  });

  test("is not before the log start, whatever was deleted of an open transaction", async () => {
    const { coordinators, leader } = world();
    coordinators.begin(7);
    for (const sequence of [0, 1, 2]) await write(leader, { sequence });
    await leader.deleteRecords({ topicVersion: 1, beforeOffset: 2 });
    expect(leader.lastStableOffset).toBe(2);
  });
});

test("what is remembered of producers before there were transactions is read", async () => {
  const { storage, coordinators, leader } = world();
  await write(leader, { sequence: 0, isTransactional: false });
  // One producer, one batch, as it was laid out then.
  const old = new DataView(new ArrayBuffer(19 + 24));
  old.setFloat64(0, 7);
  old.setFloat64(8, 1_000);
  old.setUint8(18, 1);
  storage.exec("DROP TABLE aborted_transactions");
  storage.exec("INSERT INTO producers VALUES (0, 1, ?)", new Uint8Array(old.buffer));
  const woken = wake(storage, coordinators);
  expect(await write(woken, { sequence: 0, isTransactional: false })).toMatchObject({ baseOffset: 0 });
  coordinators.begin(7);
  expect(await write(woken, { sequence: 1 })).toMatchObject({ baseOffset: 1 });
  await end(woken, { committed: false, decidedAtMs: coordinators.decide() });
  expect((await readCommitted(woken)).abortedTransactions).toEqual([{ producerId: 7, firstOffset: 1 }]);
});

test("aborted transactions are forgotten with their records", async () => {
  const { storage, coordinators, leader } = world();
  for (const sequence of [0, 1]) {
    coordinators.begin(7);
    await write(leader, { sequence });
    await end(leader, { committed: false, decidedAtMs: coordinators.decide() });
  }
  await leader.deleteRecords({ topicVersion: 1, beforeOffset: 2 });
  expect(storage.exec("SELECT first_offset FROM aborted_transactions")).toEqual([{ first_offset: 2 }]);
  expect((await readCommitted(leader, 2)).abortedTransactions).toEqual([{ producerId: 7, firstOffset: 2 }]);
});

/** What Kafka's consumer makes of a read: offsets of records that are not of an aborted transaction. */
function committedOffsets(batches: Uint8Array, aborted: readonly AbortedTransaction[]): number[] {
  const left = [...aborted];
  const abortedIds = new Set<number>();
  const offsets: number[] = [];
  for (const { header, position } of batchHeaders(batches)) {
    while (left[0] !== undefined && left[0].firstOffset <= header.lastOffset) {
      abortedIds.add(left.shift()?.producerId ?? -1);
    }
    if (header.isControl) {
      const marker = batches.subarray(position, position + header.sizeInBytes);
      if (markerTypeOf(marker) === "abort") abortedIds.delete(header.producerId);
    } else if (!header.isTransactional || !abortedIds.has(header.producerId)) {
      offsets.push(header.baseOffset);
    }
  }
  return offsets;
}

const step = fc.oneof(
  fc.record({ do: fc.constant("write" as const), producerId: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    do: fc.constant("end" as const),
    producerId: fc.integer({ min: 1, max: 4 }),
    committed: fc.boolean(),
  }),
  fc.constant({ do: "plain" as const }),
  fc.constant({ do: "wake" as const }),
  fc.constant({ do: "roll" as const }),
);

test("whatever producers do, a read_committed reader gets what is committed and nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 600 }),
      async (steps, from, maxBytes) => {
        const { storage, coordinators } = world();
        let leader = wake(storage, coordinators);
        const sequences = new Map<number, number>();
        const open = new Map<number, number[]>();
        const committed = new Set<number>();
        const append = async (producerId: number, isTransactional: boolean) => {
          const sequence = sequences.get(producerId) ?? 0;
          sequences.set(producerId, sequence + 1);
          const appended = await write(leader, { producerId, sequence, isTransactional });
          if (isFailure(appended)) throw new Error(appended.message);
          return appended.baseOffset;
        };
        for (const now of steps) {
          if (now.do === "wake") leader = wake(storage, coordinators);
          else if (now.do === "roll") {
            if ((leader.log.active?.bytes ?? 0) > 0) leader.roll();
          } else if (now.do === "plain") committed.add(await append(9, false));
          else if (now.do === "write") {
            if (!open.has(now.producerId)) coordinators.begin(now.producerId);
            const offset = await append(now.producerId, true);
            open.set(now.producerId, [...(open.get(now.producerId) ?? []), offset]);
          } else {
            await end(leader, { ...now, decidedAtMs: coordinators.decide() });
            if (now.committed) for (const offset of open.get(now.producerId) ?? []) committed.add(offset);
            open.delete(now.producerId);
          }
        }
        const { highWatermark, lastStableOffset } = leader.bounds();
        const starts = [...open.values()].map(([first = 0]) => first);
        expect(lastStableOffset).toBe(Math.min(highWatermark, ...starts));
        const start = Math.min(from, highWatermark);
        const read: number[] = [];
        for (let offset = start; ; ) {
          const { batches, abortedTransactions = [] } = await readCommitted(leader, offset, maxBytes);
          if (batches.length === 0) break;
          read.push(...committedOffsets(batches, abortedTransactions));
          for (const { header } of batchHeaders(batches)) offset = header.nextOffset;
        }
        const expected = [...committed].filter((offset) => offset >= start && offset < lastStableOffset);
        expect(read).toEqual(expected.sort((a, b) => a - b));
      },
    ),
    { numRuns: 300 },
  );
});
