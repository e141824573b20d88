/** The topics of a run, small enough that every second something rolls, is uploaded, dropped or let go of. */

import { setTimeout as delay } from "node:timers/promises";
import type { Api } from "./api.ts";
import { ShakenClassicGroup, ShakenConsumerGroup } from "./groups.ts";
import type { Retention } from "./history.ts";
import { Lane, type ProducerIds } from "./producers.ts";
import { follow } from "./readers.ts";
import { subscribe } from "./subscribers.ts";
import { LiveTopic, type World } from "./world.ts";

const PRODUCERS = 8;
/** So many of the producers write to each partition. */
const PRODUCERS_PER_PARTITION = 4;

const SHORT_LIVED = {
  "segment.bytes": "6000",
  "index.interval.bytes": "500",
  "local.retention.ms": "0",
  "edgelog.local.drop.delay.ms": "40",
  "file.delete.delay.ms": "80",
  "retention.ms": "-1",
} as const;

interface TopicPlan {
  readonly name: string;
  readonly partitions: number;
  readonly configs: Readonly<Record<string, string>>;
  readonly retention?: Retention;
}

const STABLE_TOPICS: readonly TopicPlan[] = [
  { name: "tiered", partitions: 2, configs: SHORT_LIVED },
  {
    name: "sized",
    partitions: 1,
    configs: { ...SHORT_LIVED, "retention.bytes": "24000" },
    retention: { bytes: 24_000 },
  },
  {
    name: "timed",
    partitions: 1,
    configs: {
      ...SHORT_LIVED,
      "segment.ms": "150",
      "local.retention.ms": "100",
      "retention.ms": "1500",
      "message.timestamp.type": "LogAppendTime",
    },
    retention: { ms: 1_500 },
  },
  { name: "local", partitions: 1, configs: { "segment.bytes": "20000", "retention.ms": "-1" } },
];
/** Its oldest records are deleted on request. */
const TRIMMED: TopicPlan = {
  name: "trimmed",
  partitions: 1,
  configs: { ...SHORT_LIVED, "segment.ms": "400" },
};
/** Deleted and created again and again. */
const PHOENIX: TopicPlan = { name: "phoenix", partitions: 2, configs: SHORT_LIVED };

export const PARTITIONS_AT_A_TIME = [...STABLE_TOPICS, TRIMMED, PHOENIX].reduce(
  (sum, { partitions }) => sum + partitions,
  0,
);

/** Everything that is done to the platform but killing it. */
export class Workload {
  readonly #world: World;
  readonly #ids: ProducerIds;
  readonly #running = new Set<Promise<void>>();
  #isOver = false;

  constructor(world: World, ids: ProducerIds) {
    this.#world = world;
    this.#ids = ids;
  }

  /** Whether a topic is being deleted, or has just been. */
  isDeleting = false;

  async begin(): Promise<void> {
    for (const plan of [...STABLE_TOPICS, TRIMMED]) {
      const topic = await this.#create(plan);
      this.#use(topic);
      if (plan === TRIMMED) this.#run(this.#trim(topic));
    }
    this.#run(this.#riseAndFall());
    for (const group of [
      new ShakenClassicGroup(this.#world, "classic"),
      new ShakenConsumerGroup(this.#world, "consumer"),
    ]) {
      await group.begin();
      this.#run(group.run(() => this.#isOver));
    }
  }

  /** Producers send nothing new; resolves when all that was sent is acknowledged and every part has ended. */
  async end(): Promise<void> {
    this.#world.isDraining = true;
    this.#isOver = true;
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #run(part: Promise<void>): void {
    const running = part.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #create({ name, partitions, configs, retention }: TopicPlan): Promise<LiveTopic> {
    for (;;) {
      const api = await this.#world.up();
      const answer = await api.createTopic(name, partitions, configs);
      if (answer.kind === "ok") return new LiveTopic(name, answer.value, partitions, retention);
      // The attempt before this one got through, but its answer did not.
      const exists = answer.kind === "refused" && answer.code === "TOPIC_ALREADY_EXISTS";
      const found = exists ? await api.topic(name) : answer;
      if (found.kind === "ok") return new LiveTopic(name, found.value, partitions, retention);
      await this.#world.refused(found, `creating ${name}`);
    }
  }

  /** Lets producers write to the topic and followers read it. Resolves when the producers have ended. */
  #use(topic: LiveTopic): Promise<void> {
    this.#world.topics.add(topic);
    const lanes: Promise<void>[] = [];
    for (const partition of topic.histories.keys()) {
      for (let nth = 0; nth < PRODUCERS_PER_PARTITION; nth++) {
        const producer = (partition + 2 * nth) % PRODUCERS;
        lanes.push(new Lane(this.#world, this.#ids, producer, topic, partition).run());
      }
      this.#run(follow(this.#world, topic, partition, () => this.#isOver));
      this.#run(subscribe(this.#world, topic, partition, () => this.#isOver));
    }
    const ended = Promise.all(lanes).then(() => undefined);
    this.#run(ended);
    return ended;
  }

  /** DeleteRecords, now and then. */
  async #trim(topic: LiveTopic): Promise<void> {
    const [history] = topic.histories;
    const random = this.#world.random.fork();
    while (!this.#isOver && history !== undefined) {
      await delay(random.integer(100, 1_000));
      const api = await this.#world.upForProducers();
      const { logStart, logEnd } = history.ends();
      const before = random.integer(logStart, logEnd);
      history.deletionSent(before);
      const answer = await api.deleteRecords(topic.name, 0, before);
      if (answer.kind !== "ok") {
        await this.#world.refused(answer, `deleting the records before ${before} of ${topic.name}`);
        continue;
      }
      this.#world.count("DeleteRecords");
      this.#world.report(
        history.bounds(answer.value, 0, this.#world.by("DeleteRecords"), { logStart: before, logEnd: 0 }),
      );
    }
  }

  async #riseAndFall(): Promise<void> {
    const random = this.#world.random.fork();
    const ids = new Set<string>();
    for (;;) {
      const topic = await this.#create(PHOENIX);
      if (ids.has(topic.id)) this.#world.violated(`topic id ${topic.id} was used again`);
      ids.add(topic.id);
      const producersEnded = this.#use(topic);
      await delay(random.integer(100, 1_200));
      await this.#world.upForProducers();
      if (this.#isOver) return;
      topic.ended = true;
      this.isDeleting = true;
      await this.#delete(topic);
      this.#world.topics.delete(topic);
      // A request that is still on its way may go to the next topic of this name, as it names no other.
      await producersEnded;
      this.#world.count("topics deleted");
      do {
        await this.#isGone(topic);
        await delay(random.integer(0, 300));
      } while (random.chance(0.5));
      this.isDeleting = false;
    }
  }

  async #delete({ name }: LiveTopic): Promise<void> {
    for (let wasTried = false; ; wasTried = true) {
      const api = await this.#world.up();
      const answer = await api.deleteTopic(name);
      if (answer.kind === "ok") return;
      const wasDone = answer.kind === "refused" && answer.code === "UNKNOWN_TOPIC_OR_PARTITION";
      if (wasDone && wasTried) return;
      await this.#world.refused(answer, `deleting ${name}`);
    }
  }

  /** Nothing answers for a deleted topic. */
  async #isGone({ name, id }: LiveTopic): Promise<void> {
    const api = await this.#world.up();
    const answers = await Promise.all([
      api.topic(name),
      api.offset(name, 0, "latest"),
      api.read(name, 0, 0, { maxBytes: 1 }),
      this.#produceSomething(api, name),
    ]);
    for (const [index, answer] of answers.entries()) {
      const isUnknown = answer.kind === "refused" && answer.code === "UNKNOWN_TOPIC_OR_PARTITION";
      if (isUnknown) this.#world.count("404s of a deleted topic");
      else if (answer.kind === "ok") {
        this.#world.violated(
          `deleted topic ${name} (${id}) answered question ${index}: ${JSON.stringify(answer.value)}`,
        );
      } else await this.#world.refused(answer, `the deleted topic ${name}`);
    }
  }

  #produceSomething(api: Api, name: string) {
    // Known to no history: wherever it turns up it is a foreign record.
    return api.produce(name, 0, Lane.strayBatch(this.#world.newBatchId()));
  }
}
