/** Producers: an idempotent one repeats what it has sent, byte for byte, until it is acknowledged. */

import type { AppendResult } from "../../durable-objects/partition/rpc.ts";
import type { Failure } from "../../src/model/errors.ts";
import type { Random } from "../crash/random.ts";
import { type BatchContent, encodeContent } from "../crash/records.ts";
import { isFault } from "./object-host.ts";
import type { PartitionRecord } from "./partition-record.ts";
import type { LiveTopic, Workload } from "./workload.ts";

const RECORDS_MAX = 6;
const IN_FLIGHT_MAX = 4;
const PAUSE_MS_MAX = 60;
/** What a leader may say for a while. */
const RETRIABLE = new Set(["THROTTLING_QUOTA_EXCEEDED", "KAFKA_STORAGE_ERROR"]);

interface Batch {
  readonly id: number;
  readonly bytes: Uint8Array;
  isAcked: boolean;
}

/** What one producer writes to one partition. */
export class Lane {
  readonly #workload: Workload;
  readonly #live: LiveTopic;
  readonly #partition: number;
  readonly #record: PartitionRecord;
  readonly #name: string;
  readonly #random: Random;
  #producerId = -1;
  #sequence = 0;
  #order = 0;

  constructor(workload: Workload, name: string, live: LiveTopic, partition: number, record: PartitionRecord) {
    this.#workload = workload;
    this.#live = live;
    this.#partition = partition;
    this.#record = record;
    this.#name = name;
    this.#random = workload.random.fork();
  }

  /** Ends when the topic does, or when the run drains and everything that was sent is acknowledged. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      if (this.#random.chance(0.1)) await this.#sendOnce();
      else await this.#burst();
      await this.#workload.pause(this.#random.pick([0, PAUSE_MS_MAX]));
    }
  }

  get #isOver(): boolean {
    return this.#live.isEnded || this.#workload.isDraining;
  }

  /** A few batches at once; then, in order, again and again what is not acknowledged. */
  async #burst(): Promise<void> {
    if (this.#producerId < 0 || this.#random.chance(0.03)) {
      this.#producerId = await this.#workload.newProducerId();
      this.#sequence = 0;
    }
    // A leader takes any sequence of a producer that it does not know, so the first batch goes alone.
    const most = this.#sequence > 0 && this.#random.chance(0.5) ? IN_FLIGHT_MAX : 1;
    const batches = Array.from({ length: this.#random.integer(1, most) }, () => this.#newBatch());
    await Promise.all(batches.map((batch) => this.#send(batch, batch === batches[0])));
    for (const batch of batches) {
      while (!batch.isAcked && !this.#live.isEnded) {
        this.#workload.platform.count("batches sent again");
        await this.#send(batch, true);
      }
    }
  }

  #newBatch(): Batch {
    const records = this.#random.integer(1, RECORDS_MAX);
    const batch = this.#encode(this.#name, this.#order++, records, this.#producerId, this.#sequence);
    this.#sequence += records;
    return batch;
  }

  /** Without idempotence: once, and whether it was stored may stay unknown. */
  async #sendOnce(): Promise<void> {
    const id = this.#workload.newBatchId();
    const batch = this.#encode(
      `${this.#name}, batch ${id}`,
      0,
      this.#random.integer(1, RECORDS_MAX),
      -1,
      -1,
      id,
    );
    const leader = this.#workload.leader(this.#live, this.#partition);
    const request = { topicVersion: this.#live.topic.version, batch: batch.bytes };
    const answer = await this.#workload.frontEnd.askOnce(() => leader.append(request)).catch(faultOnly);
    if (answer !== undefined) this.#answered(batch, answer, true);
  }

  #encode(
    lane: string,
    order: number,
    records: number,
    producerId: number,
    baseSequence: number,
    id = this.#workload.newBatchId(),
  ): Batch {
    const timestampMs = Math.floor(this.#workload.platform.scheduler.nowMs);
    const content: BatchContent = { id, lane, records, timestampMs, producerId, baseSequence };
    this.#record.sent({ id, lane, order, records, timestampMs });
    this.#workload.platform.count("batches sent");
    return { id, bytes: encodeContent(content), isAcked: false };
  }

  /** `follows`: every batch before it is acknowledged, so its sequence cannot be out of order. */
  async #send(batch: Batch, follows: boolean): Promise<void> {
    if (this.#live.isEnded) return;
    const leader = this.#workload.leader(this.#live, this.#partition);
    const request = { topicVersion: this.#live.topic.version, batch: batch.bytes };
    const answer = await this.#workload.frontEnd.ask(() => leader.append(request)).catch(faultOnly);
    if (answer === undefined) {
      this.#workload.platform.count("appends of unknown outcome");
      await this.#workload.pause(30);
    } else this.#answered(batch, answer, follows);
    if (!batch.isAcked) await this.#workload.pause(200);
  }

  #answered(batch: Batch, answer: AppendResult | Failure, follows: boolean): void {
    // What is said of a topic that is being deleted binds nobody.
    if (this.#live.isEnded) {
      batch.isAcked = true;
      return;
    }
    const { platform } = this.#workload;
    if (!("error" in answer)) {
      if (!batch.isAcked) platform.count("acks");
      batch.isAcked = true;
      platform.note(
        () => `batch ${batch.id} is acknowledged at ${answer.baseOffset} of ${this.#record.name}`,
      );
      this.#record.acked(batch.id, answer.baseOffset);
      return;
    }
    if (RETRIABLE.has(answer.error)) {
      platform.count(`appends refused: ${answer.error}`);
      return;
    }
    if (answer.error === "OUT_OF_ORDER_SEQUENCE_NUMBER" && !follows) return;
    platform.violated(`batch ${batch.id} of ${this.#name} to ${this.#record.name}: ${answer.message}`);
    batch.isAcked = true;
  }
}

function faultOnly(error: unknown): undefined {
  if (!isFault(error)) throw error;
  return undefined;
}
