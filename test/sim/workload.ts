/** What all clients of a simulated cluster share. */

import type { ControllerRpc } from "../../durable-objects/controller/rpc.ts";
import type { Topic } from "../../src/model/topic.ts";
import type { Random } from "../crash/random.ts";
import { FrontEnd, type PartitionStub } from "./front-end.ts";
import { isFault } from "./object-host.ts";
import { PartitionRecord } from "./partition-record.ts";
import type { Platform } from "./platform.ts";
import { drawTopic, type TopicPlan } from "./topic-plans.ts";

/** One life of a topic: what is deleted and created again is another one. */
export class LiveTopic {
  readonly plan: TopicPlan;
  readonly records: PartitionRecord[];
  /** As it was last heard of; perhaps it has changed since. */
  topic: Topic;
  /** Its deletion has been asked for: nothing is promised of it any more. */
  isEnded = false;

  constructor(platform: Platform, topic: Topic, plan: TopicPlan) {
    this.topic = topic;
    this.plan = plan;
    this.records = Array.from(
      { length: topic.partitions },
      (_, partition) => new PartitionRecord(platform, `${topic.name}-${partition}`, plan.retention),
    );
  }
}

export class Workload {
  readonly platform: Platform;
  readonly random: Random;
  readonly frontEnd: FrontEnd;
  readonly topics = new Set<LiveTopic>();
  readonly deleted = new Set<LiveTopic>();
  /** With records of transactions. */
  readonly transactional = new Set<Topic>();
  /** Producers finish what they have sent and send nothing new; readers end. */
  isDraining = false;
  #running = 0;
  #batchIds = 0;
  readonly #producerIds = new Set<number>();

  constructor(platform: Platform) {
    this.platform = platform;
    this.random = platform.random.fork();
    this.frontEnd = new FrontEnd(platform);
  }

  /** As they were last heard of. */
  get existing(): Topic[] {
    return [...[...this.topics].map(({ topic }) => topic), ...this.transactional];
  }

  get isRunning(): boolean {
    return this.#running > 0;
  }

  /** A client: it may wait for simulated things only. */
  run(what: string, client: Promise<void>): void {
    this.#running++;
    client
      .catch((error) =>
        this.platform.violated(`${what} failed: ${error instanceof Error ? error.stack : error}`),
      )
      .finally(() => {
        this.#running--;
      });
  }

  /** Random, up to so many ms. */
  pause(msMax: number): Promise<void> {
    return this.platform.scheduler.wait(this.random.next() * msMax);
  }

  newBatchId(): number {
    return this.#batchIds++;
  }

  get controller(): ControllerRpc {
    return this.frontEnd.controller;
  }

  leader(live: LiveTopic, partition: number): PartitionStub {
    return this.frontEnd.partition(live.topic.id, partition);
  }

  /** Asks again and again until there is an answer. A name may mean another topic by the time a late request arrives. */
  async insist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      const answer = await this.frontEnd.askOnce(ask).catch((error: unknown) => {
        if (!isFault(error)) throw error;
        return LOST;
      });
      if (answer !== LOST) return answer as T;
      this.platform.count("calls lost");
      await this.pause(20);
    }
  }

  async newProducerId(): Promise<number> {
    const { first } = await this.insist(() => this.controller.allocateProducerIds());
    if (this.#producerIds.has(first)) this.platform.violated(`producer id ${first} was given out twice`);
    this.#producerIds.add(first);
    return first;
  }

  async createTopic(name: string): Promise<LiveTopic> {
    const plan = drawTopic(this.random);
    const { partitions, configs } = plan;
    for (;;) {
      const answer = await this.insist(() => this.controller.createTopic({ name, partitions, configs }));
      if (!("error" in answer)) return this.#live(answer, plan);
      // The attempt before this one got through, but its answer did not.
      const found = await this.insist(() => this.controller.topic(name));
      if (!("error" in found)) return this.#live(found, plan);
      if (answer.error !== "TOPIC_ALREADY_EXISTS")
        this.platform.violated(`creating ${name}: ${answer.message}`);
    }
  }

  #live(topic: Topic, plan: TopicPlan): LiveTopic {
    const live = new LiveTopic(this.platform, topic, plan);
    this.topics.add(live);
    return live;
  }
}

const LOST = Symbol("lost");
