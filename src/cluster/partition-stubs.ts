import type { LeaderRpc } from "../../durable-objects/partition/rpc.ts";
import type { Env } from "../env.ts";
import { PARTITION_STUBS_MAX } from "../model/limits.ts";
import { partitionAddress } from "../model/partition-address.ts";
import type { Topic } from "../model/topic.ts";

export type PartitionStub = ReturnType<Env["PARTITION"]["get"]>;

/** The leaders of partitions, for being called. */
export interface Leaders {
  /**
   * `method` makes its call before this returns, so that calls made in a row arrive in that order. Throws what the stub
   * throws; the next call then has a new one.
   */
  call<T>(topic: Topic, partition: number, method: (leader: LeaderRpc) => Promise<T>): Promise<T>;
}

/**
 * One stub per partition, used for every call to it: calls on one stub arrive in the order in which they were made,
 * which keeps a producer's batches in order.
 */
export class PartitionStubs implements Leaders {
  readonly #namespace: Env["PARTITION"];
  readonly #stubs = new Map<string, PartitionStub>();

  constructor(namespace: Env["PARTITION"]) {
    this.#namespace = namespace;
  }

  async call<T>(topic: Topic, partition: number, method: (leader: LeaderRpc) => Promise<T>): Promise<T> {
    const stub = this.of(topic, partition);
    try {
      return await method(stub);
    } catch (error) {
      this.drop(topic, partition, stub);
      throw error;
    }
  }

  of(topic: Topic, partition: number): PartitionStub {
    const { name, jurisdiction, locationHint } = partitionAddress(topic, partition);
    const known = this.#stubs.get(name);
    if (known !== undefined) return known;
    const namespace =
      jurisdiction === undefined ? this.#namespace : this.#namespace.jurisdiction(jurisdiction);
    const stub = namespace.get(
      namespace.idFromName(name),
      locationHint === undefined ? {} : { locationHint },
    );
    this.#stubs.set(name, stub);
    if (this.#stubs.size > PARTITION_STUBS_MAX) {
      const [oldest] = this.#stubs.keys();
      if (oldest !== undefined) this.#stubs.delete(oldest);
    }
    return stub;
  }

  /** After an exception a stub is broken for good. */
  drop(topic: Topic, partition: number, broken: PartitionStub): void {
    const { name } = partitionAddress(topic, partition);
    if (this.#stubs.get(name) === broken) this.#stubs.delete(name);
  }
}
