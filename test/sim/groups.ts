/**
 * Consumer groups: members come, go, hang and die, and commit ever larger offsets of what they own. What was acknowledged
 * is never lost and never goes back; where clocks are true, no partition has two owners.
 */

import { isFailure } from "../../src/model/errors.ts";
import { ClassicClient } from "../group/classic-client.ts";
import { ClassicWitness } from "../group/classic-witness.ts";
import { ConsumerClient } from "../group/consumer-client.ts";
import { ConsumerOwnership } from "../group/consumer-ownership.ts";
import { type GroupCalls, LostObject, type MemberRpc } from "../group/group-world.ts";
import { isFault } from "./object-host.ts";
import type { Workload } from "./workload.ts";

const CLIENTS_MAX = 4;
const STEP_MS_MAX = 2_500;
const PEACE_STEP_MS = 1_000;
const PEACE_STEPS = 240;
const PEACE_STEPS_SETTLED = 10;
const TOPICS = { alpha: 3, beta: 2 } as const;
/** Clients that dynamic members are, and two that are told apart by their instance ids. */
const INSTANCES = [null, null, null, "instance-0", "instance-1"] as const;

type Client = ClassicClient | ConsumerClient;

abstract class SimulatedGroup implements GroupCalls {
  readonly workload: Workload;
  readonly groupId: string;
  readonly clients: Client[] = [];

  constructor(workload: Workload, groupId: string) {
    this.workload = workload;
    this.groupId = groupId;
  }

  get nowMs(): number {
    return this.workload.platform.scheduler.nowMs;
  }

  async call<T>(method: (group: MemberRpc) => Promise<T>): Promise<T> {
    const group = this.workload.platform.stub<MemberRpc>("GROUP", this.groupId);
    try {
      // A commit that came late would be a commit of less: Kafka's clients do not repeat themselves either.
      return await this.workload.frontEnd.askOnce(() => method(group));
    } catch (error) {
      if (isFault(error)) throw new LostObject();
      throw error;
    }
  }

  get alive(): Client[] {
    return this.clients.filter(({ isDead }) => !isDead);
  }

  abstract newClient(): Client;
  abstract get failure(): unknown;
  /** `partition` → the largest offset whose commit was acknowledged. */
  abstract acknowledged(): Map<string, number>;
  abstract committed(): Promise<Map<string, number>>;
  abstract partitions(): string[];

  async run(): Promise<void> {
    const { workload } = this;
    const random = workload.random.fork();
    while (!workload.isDraining) {
      await workload.pause(STEP_MS_MAX);
      const draw = random.next();
      const [first, ...others] = this.alive;
      if (first === undefined || (draw < 0.15 && this.alive.length < CLIENTS_MAX)) {
        this.clients.push(this.newClient());
      } else {
        const client = random.pick([first, ...others]);
        if (draw < 0.2) client.die();
        else if (draw < 0.25) void client.leave();
        else if (draw < 0.3) client.pausedUntilMs = this.nowMs + random.integer(0, 60_000);
      }
      for (const client of this.alive) if (random.chance(0.8)) client.step();
      if (random.chance(0.1)) await this.#checkCommitted();
      if (this.#reportFailure()) return;
    }
    await this.#peace();
  }

  /** Whoever lives gets every partition, each one owner, and what was committed is there. */
  async #peace(): Promise<void> {
    for (const client of this.alive) client.pausedUntilMs = 0;
    this.endTwins();
    let settled = 0;
    for (let steps = 0; steps < PEACE_STEPS; steps++) {
      // The last one may have been fenced by one that died then.
      if (this.alive.length === 0) this.clients.push(this.newClient());
      for (const client of this.alive) client.step();
      await this.workload.platform.scheduler.wait(PEACE_STEP_MS);
      if (this.#reportFailure()) return;
      settled = this.#isSettled ? settled + 1 : 0;
      if (settled > PEACE_STEPS_SETTLED) break;
    }
    await this.#checkCommitted();
    // A clock that was put back has a deadline come late.
    if (this.#isSettled || !this.workload.platform.areClocksTrue) return;
    const owned = this.alive.map((client) => `${client.memberId}: ${client.owned}`).join("; ");
    this.workload.platform.violated(`${this.groupId} does not settle: ${owned}`);
  }

  /** Of two with the same instance id only one can be a member. */
  endTwins(): void {}

  get #isSettled(): boolean {
    const owned = this.alive.flatMap((client) => client.owned.map(String)).sort();
    return owned.join() === this.partitions().sort().join();
  }

  async #checkCommitted(): Promise<void> {
    const promised = this.acknowledged();
    const stored = await this.committed().catch((error: unknown) => {
      if (error instanceof LostObject) return undefined;
      throw error;
    });
    if (stored === undefined) return;
    this.workload.platform.count("committed offsets checked", promised.size);
    for (const [partition, offset] of promised) {
      const left = stored.get(partition) ?? -1;
      if (left < offset)
        this.workload.platform.violated(
          `${this.groupId}: ${partition} was committed at ${offset}, ${left} is left`,
        );
    }
  }

  #reportFailure(): boolean {
    // Sessions end early by a clock that is ahead: who owns what is then nobody's promise.
    if (this.failure === undefined || !this.workload.platform.areClocksTrue) return false;
    this.workload.platform.violated(`${this.groupId}: ${this.failure}`);
    return true;
  }
}

/** Members that are assigned by one of them. */
export class SimulatedClassicGroup extends SimulatedGroup {
  readonly #witness = new ClassicWitness();

  newClient(): Client {
    return new ClassicClient(this, this.#witness, this.workload.random.pick(INSTANCES));
  }

  get failure(): unknown {
    return this.#witness.failure;
  }

  acknowledged(): Map<string, number> {
    return new Map([...this.#witness.acknowledged].map(([partition, offset]) => [String(partition), offset]));
  }

  async committed(): Promise<Map<string, number>> {
    const topics = [{ topicId: "AAAAAAAAAAAAAAAAAAAAAA", partitions: this.partitions().map(Number) }];
    return committedOffsets(this, topics, ({ partition }) => String(partition));
  }

  partitions(): string[] {
    return Array.from({ length: this.#witness.partitions }, (_, partition) => String(partition));
  }
}

/** Members of KIP-848, which are assigned by the coordinator. */
export class SimulatedConsumerGroup extends SimulatedGroup {
  readonly #ownership: ConsumerOwnership;
  readonly #topics = new Map<string, number>();
  #clients = 0;

  constructor(workload: Workload, groupId: string) {
    super(workload, groupId);
    this.#ownership = new ConsumerOwnership(this, workload.random.fork());
  }

  override async run(): Promise<void> {
    for (const [name, partitions] of Object.entries(TOPICS)) {
      const { controller } = this.workload;
      await this.workload.insist(() => controller.createTopic({ name, partitions }));
      const topic = await this.workload.insist(() => controller.topic(name));
      if (!isFailure(topic)) this.#topics.set(topic.id, partitions);
    }
    await super.run();
  }

  newClient(): Client {
    const instanceId = this.workload.random.pick(INSTANCES);
    const subscription = { names: Object.keys(TOPICS), regex: "" };
    return new ConsumerClient(this, this.#ownership, `member-${++this.#clients}`, instanceId, subscription);
  }

  get failure(): unknown {
    return this.#ownership.failure;
  }

  acknowledged(): Map<string, number> {
    return new Map(this.#ownership.acknowledged);
  }

  committed(): Promise<Map<string, number>> {
    const topics = [...this.#topics].map(([topicId, partitions]) => ({
      topicId,
      partitions: Array.from({ length: partitions }, (_, partition) => partition),
    }));
    return committedOffsets(this, topics, ({ topicId, partition }) => `${topicId}/${partition}`);
  }

  partitions(): string[] {
    return [...this.#topics].flatMap(([topicId, partitions]) =>
      Array.from({ length: partitions }, (_, partition) => `${topicId}/${partition}`),
    );
  }

  override endTwins(): void {
    const living = new Set<string>();
    for (const client of this.alive) {
      const instanceId = client instanceof ConsumerClient ? client.instanceId : null;
      if (instanceId === null) continue;
      if (living.has(instanceId)) client.die();
      living.add(instanceId);
    }
  }
}

async function committedOffsets(
  calls: GroupCalls,
  topics: { topicId: string; partitions: number[] }[],
  nameOf: (offset: { topicId: string; partition: number }) => string,
): Promise<Map<string, number>> {
  const answer = await calls.call((group) => group.fetchOffsets({ memberId: null, memberEpoch: -1, topics }));
  if (isFailure(answer)) throw new Error(`offsets were refused: ${answer.message}`);
  return new Map(answer.map((committed) => [nameOf(committed), committed.offset]));
}
