import { expect, test } from "vitest";
import type { Coordinator } from "../../durable-objects/group/coordinator.ts";
import type { OffsetToCommit } from "../../durable-objects/group/rpc.ts";
import type { TransactionOutcome } from "../../durable-objects/transaction/rpc.ts";
import { isFailure } from "../../src/model/errors.ts";
import { commitRequest, TOPIC, TOPIC_ID } from "./classic-requests.ts";
import { GroupWorld, LostObject, turn } from "./group-world.ts";
import { Random, seeds } from "./random.ts";
import type { SimulatedTransaction } from "./simulated-transactions.ts";
import { fetched, transactionalCommit } from "./transaction-steps.ts";

const PARTITIONS = 4;
const PRODUCERS = ["one", "two", "three"];
const STEPS = 60;
const TURNS_BEFORE_LOSS_MAX = 8;

/** What counts is the commit that was made last, of those that count at all. */
class Model {
  #commits = 0;
  #committed = new Map<number, { offset: number; made: number }>();
  #pending = new Map<string, Map<number, { offset: number; made: number }>>();

  commit(offsets: readonly Partition[]): void {
    for (const { partition, offset } of offsets) {
      this.#committed.set(partition, { offset, made: ++this.#commits });
    }
  }

  commitIn(producer: string, offsets: readonly Partition[]): void {
    const pending = this.#pending.get(producer) ?? new Map();
    this.#pending.set(producer, pending);
    for (const { partition, offset } of offsets) pending.set(partition, { offset, made: ++this.#commits });
  }

  end(producer: string, committed: boolean): void {
    const pending = this.#pending.get(producer) ?? [];
    this.#pending.delete(producer);
    if (!committed) return;
    for (const [partition, commit] of pending) {
      if (commit.made > (this.#committed.get(partition)?.made ?? 0)) this.#committed.set(partition, commit);
    }
  }

  delete(partition: number): void {
    this.#committed.delete(partition);
    for (const pending of this.#pending.values()) pending.delete(partition);
  }

  deleteGroup(): void {
    this.#committed.clear();
    this.#pending.clear();
  }

  isOpen(producer: string): boolean {
    return this.#pending.has(producer);
  }

  /** What a fetch tells. */
  told(requireStable: boolean): Record<string, number | "unstable"> {
    const told: Record<string, number | "unstable"> = {};
    for (const [partition, { offset }] of this.#committed) told[`${TOPIC}-${partition}`] = offset;
    if (!requireStable) return told;
    for (const pending of this.#pending.values()) {
      for (const partition of pending.keys()) told[`${TOPIC}-${partition}`] = "unstable";
    }
    return told;
  }
}

type Partition = Pick<OffsetToCommit, "partition" | "offset">;

interface Step {
  ask(group: Coordinator): Promise<object | null>;
  /** What it comes to. */
  expected(model: Model): void;
  /** It is several things at once. */
  readonly isRace?: boolean;
}

/** Anything that may be asked of the group now. */
function anyStep(random: Random, world: GroupWorld, model: Model): Step {
  const producer = random.pick(PRODUCERS) ?? "";
  const transaction = world.transactions.of(producer);
  const outcome = random.pick(transaction.outcomes);
  const late: Step | undefined = outcome && {
    ask: (group) => group.writeTransactionMarker(outcome),
    expected: () => {},
  };
  const choice = random.below(20);
  if (choice === 17) return race(random, transaction, producer);
  if (choice < 3) {
    const offsets = someOffsets(random);
    return {
      ask: (group) => group.commitOffsets(commitRequest({}, ...offsets)),
      expected: (model) => model.commit(offsets),
    };
  }
  if (choice < 10 || !model.isOpen(producer)) {
    const offsets = someOffsets(random);
    const request = transactionalCommit(transaction, {}, ...offsets);
    return {
      ask: (group) => group.commitTransactionOffsets(request),
      expected: (model) => model.commitIn(producer, offsets),
    };
  }
  if (choice < 15) {
    const committed = random.chance(0.6);
    const ended = transaction.end(committed);
    return {
      ask: (group) => group.writeTransactionMarker(ended),
      expected: (model) => model.end(producer, committed),
    };
  }
  if (choice === 15) {
    const partition = random.below(PARTITIONS);
    const topics = [{ topicId: TOPIC_ID, topic: TOPIC, partitions: [partition] }];
    return {
      ask: (group) => group.deleteOffsets(topics),
      expected: (model) => model.delete(partition),
    };
  }
  if (choice === 16 && random.chance(0.2)) {
    return { ask: (group) => group.deleteGroup(), expected: (model) => model.deleteGroup() };
  }
  world.transactions.turnsToAnswer = random.below(5);
  return late ?? { ask: async () => null, expected: () => {} };
}

/** The transaction takes too long and is aborted while the producer commits in it. */
function race(random: Random, transaction: SimulatedTransaction, producer: string): Step {
  const request = transactionalCommit(transaction, {}, ...someOffsets(random));
  const turnsBefore = random.below(4);
  let outcome: TransactionOutcome | undefined;
  return {
    isRace: true,
    ask: async (group) => {
      const commit = group.commitTransactionOffsets(request);
      for (let turns = 0; turns < turnsBefore; turns++) await turn();
      outcome ??= transaction.end(false);
      const [, told] = await Promise.all([commit, group.writeTransactionMarker(outcome)]);
      return told;
    },
    expected: (model) => model.end(producer, false),
  };
}

function someOffsets(random: Random): Partition[] {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  const some = partitions.filter(() => random.chance(0.5));
  return (some.length > 0 ? some : [0]).map((partition) => ({ partition, offset: random.below(1_000_000) }));
}

/** False: the object was lost; what it was asked is done or not. */
async function attempt(random: Random, world: GroupWorld, step: Step): Promise<boolean> {
  const answer = world.call(step.ask).then(
    (answer) => {
      if (answer !== null && isFailure(answer)) expect(answer.error).toBe("GROUP_ID_NOT_FOUND");
      return true;
    },
    (error: unknown) => {
      if (error instanceof LostObject) return false;
      throw error;
    },
  );
  if (!random.chance(0.3)) {
    await world.settle();
    return answer;
  }
  for (let turns = random.below(TURNS_BEFORE_LOSS_MAX); turns > 0; turns--) {
    await turn();
    if (random.chance(0.3)) world.confirm();
  }
  if (random.chance(0.5)) world.kill();
  else world.killAfterCommit();
  await world.settle();
  return answer;
}

test.each(seeds(100))(
  "what is fetched is what the commits and the outcomes come to, whatever is lost (seed %i)",
  async (seed) => {
    const random = new Random(seed);
    const world = new GroupWorld();
    const model = new Model();
    for (let steps = 0; steps < STEPS; steps++) {
      if (random.chance(0.1)) await world.evict();
      const step = anyStep(random, world, model);
      const before = { stable: model.told(true), committed: model.told(false) };
      step.expected(model);
      const after = { stable: model.told(true), committed: model.told(false) };
      // Whoever is not answered asks again; until then all of it is done or nothing.
      while (!(await attempt(random, world, step))) {
        const told = { stable: await fetched(world, true), committed: await fetched(world) };
        if (step.isRace !== true) expect([before, after]).toContainEqual(told);
      }
      expect(await fetched(world, true)).toEqual(after.stable);
      expect(await fetched(world)).toEqual(after.committed);
      expect(world.failure).toBeUndefined();
    }
    for (const producer of PRODUCERS) {
      for (const outcome of world.transactions.of(producer).outcomes) {
        await world.ask((group) => group.writeTransactionMarker(outcome));
      }
    }
    expect(await fetched(world)).toEqual(model.told(false));
  },
);
