import fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { Housekeeping } from "../../durable-objects/controller/housekeeping.ts";
import { OpenedPartitions } from "../../durable-objects/controller/opened-partitions.ts";
import { createTables } from "../../durable-objects/controller/storage.ts";
import { Topics } from "../../durable-objects/controller/topics.ts";
import { unwrap } from "../../src/model/errors.ts";
import { RETIRE_CONCURRENCY, WALK_BACKOFF_MS_MAX, WALK_CONCURRENCY } from "../../src/model/limits.ts";
import type { PartitionAddress } from "../../src/model/partition-address.ts";
import type { Topic } from "../../src/model/topic.ts";
import { nodeStorage } from "./node-storage.ts";

// Every failed visit is logged.
beforeEach(() => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

type Answer = "done" | "not yet" | "exception";

/** A Controller's plain classes over one database, and partitions whose answers the test decides. */
class Simulation {
  readonly storage = nodeStorage();
  nowMs = 1_000_000;
  answer: (address: PartitionAddress, call: number) => Answer = () => "done";
  readonly calls: string[] = [];
  mostAtOnce = 0;
  #atOnce = 0;
  readonly #clock = { now: () => this.nowMs };
  topics!: Topics;
  opened!: OpenedPartitions;
  housekeeping!: Housekeeping;

  constructor() {
    createTables(this.storage);
    this.restart();
  }

  /** All that memory held is lost. */
  restart(): void {
    this.topics = new Topics(this.storage, this.#clock);
    this.opened = new OpenedPartitions(this.storage);
    this.housekeeping = new Housekeeping(this.storage, this.#clock, this.topics, this.opened, {
      configure: async (address, version) => {
        const answer = await this.#answered(`configure ${version}`, address);
        if (answer !== "done") throw new Error(answer);
      },
      retire: async (address) => {
        const answer = await this.#answered("retire", address);
        if (answer !== "done") throw new Error(answer);
      },
      destroy: async (address) => {
        const answer = await this.#answered("destroy", address);
        if (answer === "exception") throw new Error(answer);
        return answer === "done";
      },
    });
  }

  topic(name: string, opened: number, configs: Record<string, string> = {}): Topic {
    const topic = unwrap(this.topics.create({ name, partitions: 1_000_000, configs }, 1));
    for (let i = 0; i < opened; i++) {
      this.opened.record({ topicId: topic.id, partition: i * 7, placement: 0 }, topic.version);
    }
    return topic;
  }

  alter(topic: Topic, retentionMs: number): Topic {
    const altered = unwrap(this.topics.alterConfigs(topic.name, { "retention.ms": `${retentionMs}` }, false));
    this.housekeeping.beginConfiguring(altered);
    return altered;
  }

  delete(topic: Topic): void {
    this.topics.remove(topic);
    this.housekeeping.beginDestroying(topic);
  }

  /** Runs every walk to its end, as alarms would; gives the time that it took. */
  async finish(): Promise<number> {
    const startMs = this.nowMs;
    for (let runs = 0; runs < 10_000; runs++) {
      const dueMs = this.housekeeping.nextAtMs();
      if (dueMs === undefined) return this.nowMs - startMs;
      this.nowMs = Math.max(this.nowMs, dueMs);
      await this.housekeeping.run(this.nowMs + 1);
    }
    throw new Error("the walks do not end");
  }

  async #answered(task: string, address: PartitionAddress): Promise<Answer> {
    this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    await new Promise((resolve) => setImmediate(resolve));
    this.#atOnce -= 1;
    this.calls.push(`${task} ${address.name}`);
    return this.answer(address, this.calls.length);
  }
}

/** Partitions that answer without any I/O, as those in the same process do. */
const AT_ONCE = {
  configure: async () => {},
  retire: async () => {},
  destroy: async () => true,
};

function names(topic: Topic, opened: number, task: string): string[] {
  return Array.from({ length: opened }, (_, i) => `${task} ${topic.id}/${i * 7}/0`);
}

describe("walking over a topic's opened partitions", () => {
  test("lets others in between its steps", async () => {
    const { storage, topics, opened, ...simulation } = new Simulation();
    const clock = { now: () => simulation.nowMs };
    const housekeeping = new Housekeeping(storage, clock, topics, opened, AT_ONCE);
    const topic = unwrap(topics.create({ name: "t", partitions: 1_000 }, 1));
    for (let partition = 0; partition < 1_000; partition++) {
      opened.record({ topicId: topic.id, partition, placement: 0 }, topic.version);
    }
    topics.remove(topic);
    housekeeping.beginDestroying(topic);
    let turns = 0;
    const others = setInterval(() => turns++, 0);
    await housekeeping.run(simulation.nowMs + 1);
    clearInterval(others);
    expect(opened.any(topic.id)).toBe(false);
    expect(turns).toBeGreaterThan(3);
  });

  test("visits each once, a few at a time, and ends", async () => {
    const simulation = new Simulation();
    const topic = simulation.topic("t", 1_000);
    simulation.delete(topic);
    await simulation.finish();
    expect(simulation.calls.toSorted()).toEqual(names(topic, 1_000, "destroy").toSorted());
    expect(simulation.mostAtOnce).toBe(WALK_CONCURRENCY);
    expect(simulation.opened.any(topic.id)).toBe(false);
    expect(simulation.storage.exec("SELECT * FROM deleted_topics")).toEqual([]);
  });

  test("is preceded by telling every one of them that its topic is deleted", async () => {
    const simulation = new Simulation();
    const topic = simulation.topic("t", 150);
    simulation.delete(topic);
    expect(await simulation.housekeeping.retireAll(topic, simulation.nowMs + 1)).toBe(true);
    expect(simulation.calls.toSorted()).toEqual(names(topic, 150, "retire").toSorted());
    expect(simulation.mostAtOnce).toBe(RETIRE_CONCURRENCY);
  });

  test("is not, as far as anyone may count on it, where one could not be told or time ran out", async () => {
    const simulation = new Simulation();
    const topic = simulation.topic("t", 150);
    simulation.answer = (_, call) => (call === 70 ? "exception" : "done");
    expect(await simulation.housekeeping.retireAll(topic, simulation.nowMs + 1)).toBe(false);
    expect(simulation.calls).toHaveLength(150);
    simulation.answer = () => {
      simulation.nowMs += 1;
      return "done";
    };
    expect(await simulation.housekeeping.retireAll(topic, simulation.nowMs + 10)).toBe(false);
    expect(simulation.calls).toHaveLength(150 + RETIRE_CONCURRENCY);
  });

  test("tells only those that do not know the version yet", async () => {
    const simulation = new Simulation();
    const topic = simulation.topic("t", 100);
    const altered = simulation.alter(topic, 1);
    simulation.opened.record({ topicId: topic.id, partition: 999_999, placement: 0 }, altered.version);
    await simulation.finish();
    expect(simulation.calls.toSorted()).toEqual(names(topic, 100, "configure 2").toSorted());
    simulation.calls.length = 0;
    simulation.alter(altered, 2);
    await simulation.finish();
    expect(simulation.calls).toHaveLength(101);
  });

  test("finds them in their jurisdiction after the topic is gone", async () => {
    const simulation = new Simulation();
    const topic = simulation.topic("t", 3, { "edgelog.jurisdiction": "eu" });
    const jurisdictions: unknown[] = [];
    simulation.answer = ({ jurisdiction }) => {
      jurisdictions.push(jurisdiction);
      return "done";
    };
    simulation.delete(topic);
    await simulation.finish();
    expect(jurisdictions).toEqual(["eu", "eu", "eu"]);
  });

  test("comes back to those that failed, later and later, and not to the others", async () => {
    const simulation = new Simulation();
    const topic = simulation.topic("t", 200);
    const stubborn = `${topic.id}/7/0`;
    let tries = 0;
    simulation.answer = ({ name }) => (name !== stubborn || ++tries > 12 ? "done" : "exception");
    simulation.delete(topic);
    const tookMs = await simulation.finish();
    expect(simulation.calls).toHaveLength(199 + 13);
    expect(tookMs).toBeGreaterThan(WALK_BACKOFF_MS_MAX);
    expect(simulation.opened.any(topic.id)).toBe(false);
  });

  test("does not wait for a topic that cannot be finished before it does the others", async () => {
    const simulation = new Simulation();
    const stuck = simulation.topic("stuck", 10);
    const topic = simulation.topic("t", 500);
    simulation.answer = ({ name }) => (name.startsWith(stuck.id) ? "not yet" : "done");
    simulation.delete(stuck);
    simulation.delete(topic);
    for (let i = 0; i < 20; i++) await simulation.housekeeping.run(simulation.nowMs + 1);
    expect(simulation.opened.any(topic.id)).toBe(false);
    expect(simulation.opened.any(stuck.id)).toBe(true);
    const retries = simulation.calls.filter((call) => call.includes(stuck.id));
    expect(retries.length).toBeLessThanOrEqual(20);
  });

  test("begins anew when the topic is altered, or deleted, in the middle of it", async () => {
    const simulation = new Simulation();
    const topic = simulation.topic("t", 300);
    let altered = simulation.alter(topic, 1);
    simulation.answer = (_, call) => {
      if (call === 100) altered = simulation.alter(altered, 2);
      if (call === 250) simulation.delete(altered);
      return "done";
    };
    await simulation.finish();
    expect(simulation.calls.filter((call) => call.startsWith("destroy"))).toHaveLength(300);
    expect(simulation.housekeeping.nextAtMs()).toBeUndefined();
  });

  test("whatever fails and whenever the object is lost, ends with every partition told or gone", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: 1, max: 150 }),
        fc.infiniteStream(fc.constantFrom<Answer>("done", "done", "not yet", "exception")),
        fc.infiniteStream(fc.nat({ max: 5 })),
        async (deletedPartitions, alteredPartitions, answers, losses) => {
          const simulation = new Simulation();
          const deleted = simulation.topic("deleted", deletedPartitions);
          const altered = simulation.topic("altered", alteredPartitions);
          const told = new Set<string>();
          const gone = new Set<string>();
          simulation.answer = ({ name }, call) => {
            const answer = call > 2_000 ? "done" : (answers.next().value ?? "done");
            if (answer === "done") (name.startsWith(deleted.id) ? gone : told).add(name);
            return answer;
          };
          simulation.delete(deleted);
          const { version } = simulation.alter(altered, 1);
          for (let runs = 0; simulation.housekeeping.nextAtMs() !== undefined; runs++) {
            simulation.nowMs = Math.max(simulation.nowMs, simulation.housekeeping.nextAtMs() ?? 0);
            const running = simulation.housekeeping.run(simulation.nowMs + 1);
            if (losses.next().value === 0) {
              // The object is lost with calls under way; their answers come to nobody's knowledge but the database's.
              await new Promise((resolve) => setImmediate(resolve));
              simulation.restart();
            }
            await running;
            if (runs > 5_000) throw new Error("the walks do not end");
          }
          expect(gone.size).toBe(deletedPartitions);
          expect(told.size).toBe(alteredPartitions);
          expect(simulation.opened.any(deleted.id)).toBe(false);
          const after = { partition: -1, placement: -1 };
          expect(simulation.opened.behind(altered.id, version, after, 1)).toEqual([]);
        },
      ),
      { numRuns: 30 },
    );
  });
});
