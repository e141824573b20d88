import { partitionForKey } from "../../log/partitioner.ts";
import { EdgelogError } from "../../model/errors.ts";
import { retrying } from "../retry.ts";
import { describeOnce } from "../topics.ts";
import { PartitionQueue, type Shipping } from "./partition-queue.ts";
import type { CheckedRecord, PendingRecord } from "./pending-record.ts";
import { StickyPartitioner } from "./sticky-partitioner.ts";

interface Metadata {
  readonly partitions: number;
  readonly messageBytesMax: number;
  readonly sinceMs: number;
}

/** The records of one topic: finds out how many partitions there are, and gives each record to the queue of one. */
export class TopicQueues {
  readonly #topic: string;
  readonly #shipping: Shipping;
  readonly #queues = new Map<number, PartitionQueue>();
  readonly #sticky: StickyPartitioner;
  /** In the order in which they came, until the number of partitions is known. */
  #unassigned: PendingRecord[] = [];
  #metadata: Metadata | undefined;
  #lookingUp = false;

  constructor(topic: string, shipping: Shipping) {
    this.#topic = topic;
    this.#shipping = shipping;
    this.#sticky = new StickyPartitioner(
      shipping.settings.batchSize,
      (partition) => this.#queues.get(partition)?.queuedBytes ?? 0,
    );
  }

  add(pending: PendingRecord): void {
    const metadata = this.#metadata;
    const isOld =
      metadata === undefined || this.#isOlderThan(metadata, this.#shipping.settings.metadataMaxAgeMs);
    // A partition that was not there a moment ago may have been added since.
    const isBeyond = metadata !== undefined && (pending.checked.partition ?? 0) >= metadata.partitions;
    if (metadata === undefined || isBeyond || this.#unassigned.length > 0) this.#unassigned.push(pending);
    else this.#assign(pending, metadata);
    if (isOld || isBeyond) void this.#lookUp();
  }

  stopLingering(): void {
    for (const queue of this.#queues.values()) queue.stopLingering();
  }

  #assign(pending: PendingRecord, { partitions, messageBytesMax }: Metadata): void {
    const { checked, isSettled } = pending;
    if (isSettled) return;
    if (checked.partition !== undefined && checked.partition >= partitions) {
      pending.reject(
        new EdgelogError(
          "UNKNOWN_TOPIC_OR_PARTITION",
          `topic ${this.#topic} has ${partitions} partition(s), counted from 0: there is no partition ${checked.partition}`,
        ),
      );
      return;
    }
    this.#queueOf(this.#partitionOf(checked, partitions)).add(pending, messageBytesMax);
  }

  #partitionOf({ partition, record, bytes }: CheckedRecord, partitions: number): number {
    if (partition !== undefined) return partition;
    if (record.key !== null) return partitionForKey(record.key, partitions);
    return this.#sticky.next(bytes, partitions);
  }

  #queueOf(partition: number): PartitionQueue {
    let queue = this.#queues.get(partition);
    if (queue === undefined) {
      queue = new PartitionQueue(this.#topic, partition, this.#shipping);
      this.#queues.set(partition, queue);
    }
    return queue;
  }

  async #lookUp(): Promise<void> {
    if (this.#lookingUp) return;
    this.#lookingUp = true;
    const { settings, stop, transport } = this.#shipping;
    try {
      const deadlineMs = Date.now() + settings.maxBlockMs;
      const describe = () => {
        const timeoutMs = Math.max(1, Math.min(transport.options.requestTimeoutMs, deadlineMs - Date.now()));
        return describeOnce(transport, this.#topic, { autoCreate: true, signal: stop, timeoutMs });
      };
      const topic = await retrying(describe, {
        firstMs: settings.retryBackoffMs,
        maxMs: settings.retryBackoffMaxMs,
        deadlineMs,
        signal: stop,
      });
      this.#metadata = {
        partitions: topic.partitions,
        messageBytesMax: Number(topic.configsInEffect["max.message.bytes"] ?? Number.POSITIVE_INFINITY),
        sinceMs: Date.now(),
      };
      for (const pending of this.#takeUnassigned()) this.#assign(pending, this.#metadata);
    } catch (error) {
      // What is known of a topic stays good until something better is known; records that wait for it cannot go on.
      for (const pending of this.#takeUnassigned()) pending.reject(error);
    } finally {
      this.#lookingUp = false;
    }
  }

  #takeUnassigned(): PendingRecord[] {
    const unassigned = this.#unassigned;
    this.#unassigned = [];
    return unassigned;
  }

  #isOlderThan(metadata: Metadata, ms: number): boolean {
    return Date.now() - metadata.sinceMs > ms;
  }
}
