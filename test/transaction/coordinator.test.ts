import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { ProducerIdentity, TransactionDescription } from "../../durable-objects/transaction/rpc.ts";
import { type Failure, failure, isFailure } from "../../src/model/errors.ts";
import {
  TRANSACTION_TELL_MS_MAX,
  TRANSACTION_TIMEOUT_MS_MAX,
  TRANSACTIONAL_ID_EXPIRATION_MS,
} from "../../src/model/limits.ts";
import { CoordinatorWorld } from "./coordinator-world.ts";

const TIMEOUT_MS = 60_000;
const TOPICS = [{ topicId: "topic", partitions: [0, 1] }];

function ok<T>(result: T | Failure): T {
  if (isFailure(result)) throw new Error(`${result.error}: ${result.message}`);
  return result;
}

const errorOf = (result: unknown) => (isFailure(result) ? result.error : null);

async function begun(): Promise<{ world: CoordinatorWorld; producer: ProducerIdentity }> {
  const world = new CoordinatorWorld();
  return { world, producer: await init(world) };
}

async function init(world: CoordinatorWorld, current: ProducerIdentity | null = null) {
  const request = { transactionTimeoutMs: TIMEOUT_MS, current };
  return ok(await world.coordinator.initProducerId(request));
}

/** A producer that can be given no other epoch. */
async function atLastEpoch(): Promise<{ world: CoordinatorWorld; producer: ProducerIdentity }> {
  const { world, producer: first } = await begun();
  let producer = first;
  while (producer.producerEpoch < 32_766 && producer.producerId === 100) producer = await init(world);
  expect(producer).toEqual({ producerId: 100, producerEpoch: 32_766 });
  return { world, producer };
}

async function describeIt(world: CoordinatorWorld): Promise<TransactionDescription> {
  return ok(await world.coordinator.describe());
}

describe("a producer that begins", () => {
  test("gets a producer id, and with every further time a higher epoch of it", async () => {
    const { world, producer } = await begun();
    expect(producer).toEqual({ producerId: 100, producerEpoch: 0 });
    expect(await init(world)).toEqual({ producerId: 100, producerEpoch: 1 });
    world.wake();
    expect(await init(world)).toEqual({ producerId: 100, producerEpoch: 2 });
  });

  test("fences the one before it, whose transaction is aborted first", async () => {
    const { world, producer } = await begun();
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    expect(await init(world)).toEqual({ producerId: 100, producerEpoch: 2 });
    expect(world.told.map(({ who, outcome }) => [who, outcome.committed, outcome.producerEpoch])).toEqual([
      ["topic/0", false, 1],
      ["topic/1", false, 1],
    ]);
    const late = { ...producer, topics: TOPICS };
    expect(errorOf(await world.coordinator.addPartitions(late))).toBe("PRODUCER_FENCED");
    const end = { ...producer, committed: true, bumpsEpoch: false };
    expect(errorOf(await world.coordinator.endTransaction(end))).toBe("PRODUCER_FENCED");
  });

  test("may go on where it was, and repeat itself, unless another one came (KIP-360)", async () => {
    const { world, producer } = await begun();
    const next = await init(world, producer);
    expect(next).toEqual({ producerId: 100, producerEpoch: 1 });
    expect(await init(world, producer)).toEqual(next);
    await init(world);
    const request = { transactionTimeoutMs: TIMEOUT_MS, current: next };
    expect(errorOf(await world.coordinator.initProducerId(request))).toBe("PRODUCER_FENCED");
  });

  test("does not end the transaction of the one that has taken over from it", async () => {
    const { world, producer } = await begun();
    const newer = await init(world);
    ok(await world.coordinator.addPartitions({ ...newer, topics: TOPICS }));
    const request = { transactionTimeoutMs: TIMEOUT_MS, current: producer };
    expect(errorOf(await world.coordinator.initProducerId(request))).toBe("PRODUCER_FENCED");
    expect((await describeIt(world)).state).toBe("Ongoing");
  });

  test("is not told the epoch of the one that has taken over, whichever protocols the two speak", async () => {
    for (const bumpsEpoch of [false, true]) {
      const { world, producer } = await begun();
      const newer = await init(world);
      ok(await world.coordinator.addPartitions({ ...newer, topics: TOPICS }));
      ok(await world.coordinator.endTransaction({ ...newer, committed: false, bumpsEpoch }));
      const late = { ...producer, committed: false, bumpsEpoch: true };
      expect(errorOf(await world.coordinator.endTransaction(late))).toBe("PRODUCER_FENCED");
    }
  });

  test("may abort what took too long, and goes on (KIP-890)", async () => {
    const { world, producer } = await begun();
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    await world.ring();
    const end = { ...producer, committed: false, bumpsEpoch: true };
    const next = ok(await world.coordinator.endTransaction(end));
    expect(next).toEqual({ ...producer, producerEpoch: producer.producerEpoch + 1 });
    ok(await world.coordinator.addPartitions({ ...next, topics: TOPICS }));
  });

  test("gets another producer id when epochs run out, with either protocol", async () => {
    const { world, producer } = await atLastEpoch();
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    const end = { ...producer, committed: true, bumpsEpoch: true };
    const rotated = ok(await world.coordinator.endTransaction(end));
    expect(rotated).toEqual({ producerId: 101, producerEpoch: 0 });
    expect(world.told.at(-1)?.outcome).toMatchObject({ producerId: 100, producerEpoch: 32_767 });
    expect(await world.coordinator.endTransaction(end)).toEqual(rotated);
    expect(await init(world)).toEqual({ producerId: 101, producerEpoch: 1 });
  });

  test("is not given the epoch beyond the last, at which its transaction was ended for it", async () => {
    const { world, producer } = await atLastEpoch();
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    await world.ring();
    expect(await describeIt(world)).toMatchObject({ state: "CompleteAbort", producerEpoch: 32_767 });
    const end = { ...producer, committed: false, bumpsEpoch: true };
    expect(errorOf(await world.coordinator.endTransaction(end))).toBe("PRODUCER_FENCED");
    expect(await init(world)).toEqual({ producerId: 101, producerEpoch: 0 });
  });

  test.each([0, -1, TRANSACTION_TIMEOUT_MS_MAX + 1])("may not have %d ms for a transaction", async (ms) => {
    const { world } = await begun();
    const request = { transactionTimeoutMs: ms, current: null };
    expect(errorOf(await world.coordinator.initProducerId(request))).toBe("INVALID_TRANSACTION_TIMEOUT");
  });
});

describe("a transactional id that nobody has begun with", () => {
  test("is unknown, and nothing is stored of it", async () => {
    const world = new CoordinatorWorld();
    const producer = { producerId: 5, producerEpoch: 0 };
    const { coordinator } = world;
    expect(errorOf(await coordinator.addPartitions({ ...producer, topics: TOPICS }))).toBe(
      "INVALID_PRODUCER_ID_MAPPING",
    );
    expect(errorOf(await coordinator.addGroup({ ...producer, groupId: "group" }))).toBe(
      "INVALID_PRODUCER_ID_MAPPING",
    );
    const end = { ...producer, committed: true, bumpsEpoch: true };
    expect(errorOf(await coordinator.endTransaction(end))).toBe("INVALID_PRODUCER_ID_MAPPING");
    expect(errorOf(await coordinator.describe())).toBe("TRANSACTIONAL_ID_NOT_FOUND");
    expect(world.storage.exec("SELECT name FROM sqlite_master")).toEqual([]);
  });

  test("is forgotten when it was not used for a week, and begins anew", async () => {
    const { world } = await begun();
    const begunMs = world.nowMs;
    await world.ring();
    expect(world.nowMs - begunMs).toBeGreaterThanOrEqual(TRANSACTIONAL_ID_EXPIRATION_MS - 1);
    expect(errorOf(await world.coordinator.describe())).toBe("TRANSACTIONAL_ID_NOT_FOUND");
    expect(world.coordinator.timers.nextAtMs).toBeUndefined();
    expect(world.isListed).toBe(false);
    expect(await init(world)).toEqual({ producerId: 101, producerEpoch: 0 });
    expect(world.isListed).toBe(true);
  });
});

test("a transactional id that is used while the Controller strikes it out stays, and is listed", async () => {
  const { world } = await begun();
  let used: Promise<unknown> = Promise.resolve();
  const close = world.closing;
  world.closing = async () => {
    used = init(world);
    await close();
  };
  await world.ring();
  expect(await used).toEqual({ producerId: 100, producerEpoch: 1 });
  expect(world.isListed).toBe(true);
  expect((await describeIt(world)).producerEpoch).toBe(1);
});

test("a transactional id that the Controller could not strike out is forgotten later", async () => {
  const { world } = await begun();
  const close = world.closing;
  world.closing = async () => {
    throw new Error("the Controller is being replaced");
  };
  await expect(world.ring()).rejects.toThrow("replaced");
  expect(world.isListed).toBe(true);
  world.closing = close;
  await world.ring();
  expect(world.isListed).toBe(false);
  expect(errorOf(await world.coordinator.describe())).toBe("TRANSACTIONAL_ID_NOT_FOUND");
});

describe("who takes part in a transaction", () => {
  test("is told once it has been decided, and the transaction is complete then", async () => {
    const { world, producer } = await begun();
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    ok(await world.coordinator.addGroup({ ...producer, groupId: "group" }));
    const { startedAtMs } = await describeIt(world);
    const end = { ...producer, committed: true, bumpsEpoch: false };
    expect(await world.coordinator.endTransaction(end)).toEqual(producer);
    expect(world.told.map(({ who }) => who)).toEqual(["topic/0", "topic/1", "group"]);
    const [{ outcome }] = world.told as [(typeof world.told)[number]];
    expect(outcome).toMatchObject({ ...producer, committed: true });
    expect(outcome.decidedAtMs).toBeGreaterThan(startedAtMs);
    expect(await describeIt(world)).toMatchObject({ state: "CompleteCommit", startedAtMs: -1, topics: [] });
  });

  test("must have been added by the producer, or adds itself", async () => {
    const { world, producer } = await begun();
    const participant = { kind: "partition" as const, topicId: "topic", partition: 3 };
    const join = (adds: boolean) => world.coordinator.join({ ...producer, participant, adds });
    expect(errorOf(await join(false))).toBe("TRANSACTION_ABORTABLE");
    const { startedAtMs } = ok(await join(true));
    expect(ok(await join(false))).toEqual({ startedAtMs });
    expect((await describeIt(world)).topics).toEqual([{ topicId: "topic", partitions: [3] }]);
  });

  test("that was not told when the coordinator was lost is told as soon as it wakes", async () => {
    const { world, producer } = await begun();
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    world.answer = () => new Promise(() => {});
    void world.coordinator.endTransaction({ ...producer, committed: true, bumpsEpoch: true });
    await vi.waitFor(() => expect(world.told).toHaveLength(2));
    world.answer = async () => null;
    world.wake();
    const wokenAtMs = world.nowMs;
    await world.ring();
    expect(world.nowMs).toBe(wokenAtMs);
    expect(world.told).toHaveLength(4);
    expect((await describeIt(world)).state).toBe("CompleteCommit");
  });

  test("that cannot be told is told again: soon, and after the coordinator was lost, by its alarm", async () => {
    vi.useFakeTimers();
    try {
      const { world, producer } = await begun();
      ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
      world.answer = async (who) => (who === "topic/1" ? failure("KAFKA_STORAGE_ERROR") : null);
      const end = { ...producer, committed: false, bumpsEpoch: false };
      const ended = world.coordinator.endTransaction(end);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(await ended).toEqual(producer);
      expect((await describeIt(world)).state).toBe("PrepareAbort");
      expect(errorOf(await world.coordinator.addGroup({ ...producer, groupId: "group" }))).toBe(
        "CONCURRENT_TRANSACTIONS",
      );
      await vi.advanceTimersByTimeAsync(10_000);
      world.wake();
      world.answer = async () => null;
      await world.ring();
      expect((await describeIt(world)).state).toBe("CompleteAbort");
      expect(new Set(world.told.map(({ outcome }) => outcome.decidedAtMs)).size).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test("is told again if it does not answer at all", async () => {
    vi.useFakeTimers();
    try {
      const { world, producer } = await begun();
      ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
      world.answer = (who) => (who === "topic/1" ? new Promise(() => {}) : Promise.resolve(null));
      void world.coordinator.endTransaction({ ...producer, committed: true, bumpsEpoch: true });
      await vi.advanceTimersByTimeAsync(TRANSACTION_TELL_MS_MAX - 1);
      expect(world.told).toHaveLength(2);
      world.answer = async () => null;
      await vi.advanceTimersByTimeAsync(1_000);
      expect(world.told.map(({ who }) => who)).toEqual(["topic/0", "topic/1", "topic/1"]);
      expect((await describeIt(world)).state).toBe("CompleteCommit");
    } finally {
      vi.useRealTimers();
    }
  });

  test("is not told again because another one could not be", async () => {
    vi.useFakeTimers();
    try {
      const { world, producer } = await begun();
      ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
      world.answer = async (who) => (who === "topic/1" ? failure("KAFKA_STORAGE_ERROR") : null);
      const ended = world.coordinator.endTransaction({ ...producer, committed: true, bumpsEpoch: true });
      await vi.advanceTimersByTimeAsync(10_000);
      ok(await ended);
      world.answer = async () => null;
      await world.ring();
      expect((await describeIt(world)).state).toBe("CompleteCommit");
      expect(world.told.filter(({ who }) => who === "topic/0")).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test.each(["UNKNOWN_TOPIC_ID", "INVALID_PRODUCER_EPOCH"] as const)(
    "and answers %s need not be told",
    async (error) => {
      const { world, producer } = await begun();
      ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
      world.answer = async () => failure(error);
      ok(await world.coordinator.endTransaction({ ...producer, committed: true, bumpsEpoch: false }));
      expect((await describeIt(world)).state).toBe("CompleteCommit");
    },
  );
});

describe("the end of a transaction", () => {
  const states = ["Empty", "Ongoing", "CompleteCommit", "CompleteAbort"] as const;

  /** A producer whose transactional id is in this state, as left there by its own protocol. */
  async function inState(state: (typeof states)[number], bumpsEpoch: boolean) {
    const { world, producer } = await begun();
    if (state === "Empty") return { world, producer };
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    if (state === "Ongoing") return { world, producer };
    const end = { ...producer, committed: state === "CompleteCommit", bumpsEpoch };
    return { world, producer: ok(await world.coordinator.endTransaction(end)) };
  }

  // Kafka's `endTransactionWithTV1`.
  test.each([
    ["Empty", true, "INVALID_TXN_STATE"],
    ["Empty", false, "INVALID_TXN_STATE"],
    ["Ongoing", true, null],
    ["Ongoing", false, null],
    ["CompleteCommit", true, null],
    ["CompleteCommit", false, "INVALID_TXN_STATE"],
    ["CompleteAbort", true, "INVALID_TXN_STATE"],
    ["CompleteAbort", false, null],
  ] as const)("of %s, committed %s, before KIP-890: %s", async (state, committed, expected) => {
    const { world, producer } = await inState(state, false);
    const answer = await world.coordinator.endTransaction({ ...producer, committed, bumpsEpoch: false });
    expect(errorOf(answer)).toBe(expected);
    if (expected === null) expect(answer).toEqual(producer);
  });

  // Kafka's `endTransactionWithTV2`: with the epoch of now, and with the one before it, as a retry has it.
  test.each([
    ["Empty", true, "INVALID_TXN_STATE", "PRODUCER_FENCED"],
    ["Empty", false, null, "PRODUCER_FENCED"],
    ["Ongoing", true, null, "PRODUCER_FENCED"],
    ["Ongoing", false, null, "PRODUCER_FENCED"],
    ["CompleteCommit", true, "INVALID_TXN_STATE", null],
    ["CompleteCommit", false, null, "INVALID_TXN_STATE"],
    ["CompleteAbort", true, "INVALID_TXN_STATE", "INVALID_TXN_STATE"],
    ["CompleteAbort", false, null, null],
  ] as const)("of %s, committed %s, since KIP-890: %s, repeated %s", async (state, committed, now, again) => {
    const { producerId, producerEpoch } = (await inState(state, true)).producer;
    const current = { producerId, producerEpoch, committed, bumpsEpoch: true };
    const { world } = await inState(state, true);
    const repeated = await world.coordinator.endTransaction({ ...current, producerEpoch: producerEpoch - 1 });
    expect(errorOf(repeated)).toBe(again);
    if (again === null) expect(repeated).toEqual({ producerId, producerEpoch });
    const answer = await world.coordinator.endTransaction(current);
    expect(errorOf(answer)).toBe(now);
    if (now === null) expect(answer).toEqual({ producerId, producerEpoch: producerEpoch + 1 });
  });

  test("comes by itself when its time is over, and fences its producer", async () => {
    const { world, producer } = await begun();
    ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
    world.wake();
    await world.ring();
    expect(world.told.map(({ outcome }) => outcome.committed)).toEqual([false, false]);
    expect(await describeIt(world)).toMatchObject({ state: "CompleteAbort", producerEpoch: 1 });
    const end = { ...producer, committed: true, bumpsEpoch: false };
    expect(errorOf(await world.coordinator.endTransaction(end))).toBe("PRODUCER_FENCED");
  });

  test("costs a busy producer no alarm of its own", async () => {
    const { world } = await begun();
    const alarms: (number | null)[] = [];
    const set = world.storage.setAlarm.bind(world.storage);
    world.storage.setAlarm = (atMs) => {
      alarms.push(atMs);
      set(atMs);
    };
    let producer = await init(world);
    for (let nth = 0; nth < 100; nth++) {
      world.nowMs += 10;
      ok(await world.coordinator.addPartitions({ ...producer, topics: TOPICS }));
      producer = ok(
        await world.coordinator.endTransaction({ ...producer, committed: true, bumpsEpoch: true }),
      );
    }
    expect(alarms.length).toBeLessThanOrEqual(3);
  });
});

test("whatever is asked, and whenever it is lost: times rise, epochs do not fall, and what was decided stays", async () => {
  const act = fc.oneof(
    fc.constant({ do: "init" as const }),
    fc.record({ do: fc.constant("add" as const), stale: fc.boolean() }),
    fc.record({
      do: fc.constant("end" as const),
      committed: fc.boolean(),
      bumpsEpoch: fc.boolean(),
      stale: fc.boolean(),
    }),
    fc.constant({ do: "wake" as const }),
    fc.record({ do: fc.constant("clock" as const), ms: fc.integer({ min: -5_000, max: 70_000 }) }),
    fc.constant({ do: "ring" as const }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const world = new CoordinatorWorld();
      let producer = await init(world);
      let before = producer;
      const decisions = new Map<number, boolean>();
      for (const now of acts) {
        const { coordinator } = world;
        const who = "stale" in now && now.stale ? before : producer;
        if (now.do === "wake") world.wake();
        else if (now.do === "clock") world.nowMs += now.ms;
        else if (now.do === "ring") await world.ring();
        else if (now.do === "add") await coordinator.addPartitions({ ...who, topics: TOPICS });
        else {
          const answer =
            now.do === "init"
              ? await coordinator.initProducerId({ transactionTimeoutMs: TIMEOUT_MS, current: null })
              : await coordinator.endTransaction({ ...who, ...now });
          if (!isFailure(answer)) {
            const isOld =
              answer.producerId < producer.producerId ||
              (answer.producerId === producer.producerId && answer.producerEpoch < producer.producerEpoch);
            expect(isOld).toBe(false);
            before = producer;
            producer = answer;
          }
        }
      }
      let lastMs = -1;
      for (const { outcome } of world.told) {
        expect(outcome.decidedAtMs).toBeGreaterThanOrEqual(lastMs);
        lastMs = outcome.decidedAtMs;
        expect(decisions.get(outcome.decidedAtMs) ?? outcome.committed).toBe(outcome.committed);
        decisions.set(outcome.decidedAtMs, outcome.committed);
      }
    }),
    { numRuns: 300 },
  );
});
