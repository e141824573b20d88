/**
 * Consumer groups over the Kafka port, whose members come, go, hang and die so often that hardly a kill does not hit a
 * rebalance. Committed offsets that were acknowledged are never lost and never go back; within a generation a partition
 * has one owner.
 */

import { setTimeout as delay } from "node:timers/promises";
import { isFailure } from "../../src/model/errors.ts";
import { ClassicClient } from "../group/classic-client.ts";
import { TOPIC, TOPIC_ID } from "../group/classic-requests.ts";
import { ClassicWitness } from "../group/classic-witness.ts";
import { ConsumerClient } from "../group/consumer-client.ts";
import { ConsumerOwnership } from "../group/consumer-ownership.ts";
import { LostObject } from "../group/group-world.ts";
import type { Random } from "./random.ts";
import { WireGroup } from "./wire-group.ts";
import type { World } from "./world.ts";

const MEMBERS_MAX = 4;
const STEP_MS = { least: 20, most: 200 } as const;
const INSTANCES = [null, null, null, "instance-0", "instance-1"] as const;
/** What members of KIP-848 subscribe to. */
const TOPICS = { alpha: 3, beta: 2 } as const;
const PARTITIONS = 7;

interface Member {
  readonly client: ClassicClient | ConsumerClient;
  readonly wire: WireGroup;
}

/** `topic id/partition` → offset. */
type Offsets = Map<string, number>;

abstract class ShakenGroup {
  protected readonly world: World;
  protected readonly random: Random;
  protected readonly groupId: string;
  readonly #members: Member[] = [];
  readonly #observer: WireGroup;
  /** What was seen to be committed. */
  readonly #seen: Offsets = new Map();

  constructor(world: World, groupId: string) {
    this.world = world;
    this.random = world.random.fork();
    this.groupId = groupId;
    this.#observer = this.wire();
  }

  protected abstract nameOf(topicId: string): string | undefined;
  protected abstract topics(): { topicId: string; partitions: number[] }[];
  protected abstract newClient(wire: WireGroup): ClassicClient | ConsumerClient;
  protected abstract get failure(): unknown;
  /** The largest offsets whose commit was acknowledged. */
  protected abstract acknowledged(): Offsets;

  protected wire(): WireGroup {
    return new WireGroup(this.world, this.groupId, (topicId) => this.nameOf(topicId));
  }

  async run(isOver: () => boolean): Promise<void> {
    for (let steps = 0; !isOver(); steps++) {
      const api = await this.world.up();
      this.#change();
      for (const { client } of this.#alive()) if (this.random.chance(0.7)) client.step();
      if (this.failure !== undefined) {
        this.world.violated(`${this.groupId}: ${this.failure}`);
        break;
      }
      if (steps % 10 === 0) await this.#check();
      if (api === (await this.world.up())) await delay(this.random.integer(STEP_MS.least, STEP_MS.most));
    }
    await this.#check();
    for (const { client, wire } of this.#members) {
      client.die();
      wire.close();
    }
    this.#observer.close();
  }

  #alive(): Member[] {
    return this.#members.filter(({ client }) => !client.isDead);
  }

  #change(): void {
    const [first, ...others] = this.#alive();
    const draw = this.random.next();
    if (first === undefined || (draw < 0.08 && others.length + 1 < MEMBERS_MAX)) {
      const wire = this.wire();
      this.#members.push({ client: this.newClient(wire), wire });
      return;
    }
    if (draw > 0.13) return;
    const { client, wire } = this.random.pick([first, ...others]);
    if (draw < 0.1) void client.leave();
    else if (draw < 0.12) {
      client.die();
      wire.close();
    } else client.pausedUntilMs = Date.now() + this.random.integer(0, 8_000);
  }

  /** Whatever was acknowledged, or seen, before it was asked is there. */
  async #check(): Promise<void> {
    const least = new Map(this.#seen);
    for (const [partition, offset] of this.acknowledged()) {
      least.set(partition, Math.max(offset, least.get(partition) ?? -1));
    }
    const request = { memberId: null, memberEpoch: -1, topics: this.topics() };
    const answer = await this.#observer.fetchOffsets(request).catch((error: unknown) => {
      if (error instanceof LostObject) return undefined;
      throw error;
    });
    if (answer === undefined) return;
    if (isFailure(answer)) {
      this.world.violated(`${this.groupId}: offsets were refused: ${answer.message}`);
      return;
    }
    const stored = new Map(
      answer.map(({ topicId, partition, offset }) => [`${topicId}/${partition}`, offset]),
    );
    for (const [partition, offset] of least) {
      const left = stored.get(partition) ?? -1;
      if (left < offset)
        this.world.violated(`${this.groupId}: ${partition} was committed at ${offset}, ${left} is left`);
    }
    for (const [partition, offset] of stored) this.#seen.set(partition, offset);
    this.world.count("committed offsets verified", least.size);
  }
}

/** Members that one of them assigns. */
export class ShakenClassicGroup extends ShakenGroup {
  readonly #witness = new ClassicWitness();

  async begin(): Promise<void> {
    await createTopic(this.world, TOPIC, PARTITIONS);
  }

  protected nameOf(topicId: string): string | undefined {
    return topicId === TOPIC_ID ? TOPIC : undefined;
  }

  protected topics() {
    return [
      { topicId: TOPIC_ID, partitions: Array.from({ length: PARTITIONS }, (_, partition) => partition) },
    ];
  }

  protected newClient(wire: WireGroup): ClassicClient {
    return new ClassicClient(wire, this.#witness, this.random.pick(INSTANCES));
  }

  protected get failure(): unknown {
    return this.#witness.failure;
  }

  protected acknowledged(): Offsets {
    return new Map(
      [...this.#witness.acknowledged].map(([partition, offset]) => [`${TOPIC_ID}/${partition}`, offset]),
    );
  }
}

/** Members of KIP-848, which the coordinator assigns. */
export class ShakenConsumerGroup extends ShakenGroup {
  readonly #ownership: ConsumerOwnership;
  readonly #topics = new Map<string, number>();
  #clients = 0;

  constructor(world: World, groupId: string) {
    super(world, groupId);
    this.#ownership = new ConsumerOwnership(this.wire(), this.random);
  }

  async begin(): Promise<void> {
    for (const [name, partitions] of Object.entries(TOPICS)) {
      this.#topics.set(await createTopic(this.world, name, partitions), partitions);
    }
  }

  protected nameOf(): undefined {
    return undefined;
  }

  protected topics() {
    return [...this.#topics].map(([topicId, partitions]) => ({
      topicId,
      partitions: Array.from({ length: partitions }, (_, partition) => partition),
    }));
  }

  protected newClient(wire: WireGroup): ConsumerClient {
    const subscription = { names: Object.keys(TOPICS), regex: "" };
    const memberId = `member-${++this.#clients}`;
    return new ConsumerClient(wire, this.#ownership, memberId, this.random.pick(INSTANCES), subscription);
  }

  protected get failure(): unknown {
    return this.#ownership.failure;
  }

  protected acknowledged(): Offsets {
    return new Map(this.#ownership.acknowledged);
  }
}

/** Its id. */
async function createTopic(world: World, name: string, partitions: number): Promise<string> {
  for (;;) {
    const api = await world.up();
    const answer = await api.createTopic(name, partitions, {});
    if (answer.kind === "ok") return answer.value;
    const exists = answer.kind === "refused" && answer.code === "TOPIC_ALREADY_EXISTS";
    const found = exists ? await api.topic(name) : answer;
    if (found.kind === "ok") return found.value;
    await world.refused(found, `creating ${name}`);
  }
}
