/** Idempotent producers: each repeats what it has sent, byte for byte, until it is acknowledged. */

import { setTimeout as delay } from "node:timers/promises";
import { KafkaClient } from "./kafka-client.ts";
import { ACK } from "./kills.ts";
import type { Random } from "./random.ts";
import { type BatchContent, encodeContent } from "./records.ts";
import type { LiveTopic, World } from "./world.ts";

const RECORDS_MAX = 10;
/** Kafka's clients have at most five batches of a partition in flight. */
const IN_FLIGHT_MAX = 3;
const PAUSE_MS_MAX = 25;

interface Batch {
  readonly content: BatchContent;
  readonly bytes: Uint8Array<ArrayBuffer>;
  isAcked: boolean;
}

/** The ids that were given out: none may come twice, whatever was killed. */
export class ProducerIds {
  readonly #world: World;
  readonly #given = new Set<number>();

  constructor(world: World) {
    this.#world = world;
  }

  async next(): Promise<number> {
    for (;;) {
      const api = await this.#world.upForProducers();
      const answer = await api.newProducerId();
      if (answer.kind !== "ok") {
        await this.#world.refused(answer, "a new producer id");
        continue;
      }
      if (this.#given.has(answer.value))
        this.#world.violated(`producer id ${answer.value} was given out twice`);
      this.#given.add(answer.value);
      return answer.value;
    }
  }
}

/** What one producer writes to one partition. */
export class Lane {
  readonly #world: World;
  readonly #topic: LiveTopic;
  readonly #partition: number;
  readonly #name: string;
  readonly #ids: ProducerIds;
  readonly #random: Random;
  readonly #kafka = new KafkaClient();
  #producerId = -1;
  #sequence = 0;
  #order = 0;

  constructor(world: World, ids: ProducerIds, producer: number, topic: LiveTopic, partition: number) {
    this.#world = world;
    this.#ids = ids;
    this.#topic = topic;
    this.#partition = partition;
    this.#name = `producer ${producer}`;
    this.#random = world.random.fork();
  }

  /** A batch that no producer has sent. */
  static strayBatch(id: number): Uint8Array<ArrayBuffer> {
    const content = {
      id,
      lane: "stray",
      records: 1,
      timestampMs: Date.now(),
      producerId: -1,
      baseSequence: -1,
    };
    return new Uint8Array(encodeContent(content));
  }

  /** Ends when the topic does, or when the run drains and everything sent is acknowledged. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      if (this.#producerId < 0 || this.#random.chance(0.02)) {
        this.#producerId = await this.#ids.next();
        this.#sequence = 0;
      }
      await this.#burst();
      await delay(this.#random.integer(0, PAUSE_MS_MAX));
      await this.#world.upForProducers();
    }
    this.#kafka.close();
  }

  get #isOver(): boolean {
    return this.#topic.ended || this.#world.isDraining;
  }

  /** A few batches at once, some of them twice; then, in order, again and again what is not acknowledged. */
  async #burst(): Promise<void> {
    // A leader takes any sequence of a producer that it does not know, so the first batch goes alone.
    const most = this.#sequence > 0 && this.#random.chance(0.3) ? IN_FLIGHT_MAX : 1;
    const batches = Array.from({ length: this.#random.integer(1, most) }, () => this.#newBatch());
    const attempts = batches.flatMap((batch) => (this.#random.chance(0.1) ? [batch, batch] : [batch]));
    await Promise.all(attempts.map((batch) => this.#send(batch, batch === batches[0])));
    for (const batch of batches) {
      while (!batch.isAcked && !this.#topic.ended) {
        this.#world.count("batches sent again");
        await this.#send(batch, true);
      }
    }
  }

  #newBatch(): Batch {
    const records = this.#random.integer(1, RECORDS_MAX);
    const content: BatchContent = {
      id: this.#world.newBatchId(),
      lane: this.#name,
      records,
      timestampMs: Date.now(),
      producerId: this.#producerId,
      baseSequence: this.#sequence,
    };
    this.#sequence += records;
    const { id, lane, timestampMs } = content;
    this.#history.sent({ id, lane, order: this.#order++, records, timestampMs });
    this.#world.count("batches sent");
    return { content, bytes: new Uint8Array(encodeContent(content)), isAcked: false };
  }

  /** `follows`: every batch before it is acknowledged, so its sequence cannot be out of order. */
  async #send(batch: Batch, follows: boolean): Promise<void> {
    const api = await this.#world.upForProducers();
    if (this.#topic.ended) return;
    this.#world.appendsInFlight++;
    // What was sent by one way and not acknowledged may be repeated by the other.
    const isByKafka = this.#random.chance(0.5);
    const { name } = this.#topic;
    const answer = isByKafka
      ? await this.#kafka.produce(api, name, this.#partition, batch.bytes)
      : await api.produce(name, this.#partition, batch.bytes);
    this.#world.appendsInFlight--;
    if (answer.kind === "ok") {
      if (!batch.isAcked) {
        this.#world.count(isByKafka ? "acks over Kafka" : "acks over HTTP");
        this.#world.happened(ACK);
      }
      batch.isAcked = true;
      // What an ack says of a topic that is being deleted binds nobody.
      if (this.#topic.ended) return;
      const { id } = batch.content;
      this.#world.report(this.#history.acked(id, answer.value, this.#world.by(`the ack of batch ${id}`)));
      return;
    }
    if (this.#topic.ended) return;
    const overtook = answer.kind === "refused" && answer.code === "OUT_OF_ORDER_SEQUENCE_NUMBER" && !follows;
    if (overtook) return;
    await this.#world.refused(
      answer,
      `batch ${batch.content.id} (sequence ${batch.content.baseSequence} of producer id ${batch.content.producerId}) to ${this.#history.partition}`,
    );
  }

  get #history() {
    const history = this.#topic.histories[this.#partition];
    if (history === undefined)
      throw new RangeError(`${this.#topic.name} has no partition ${this.#partition}`);
    return history;
  }
}
