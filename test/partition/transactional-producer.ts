import { env } from "cloudflare:workers";
import type { ProducerIdentity } from "../../durable-objects/transaction/rpc.ts";
import { Cluster } from "../../src/cluster/cluster.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { unwrap } from "../../src/model/errors.ts";
import type { Topic } from "../../src/model/topic.ts";

const encoder = new TextEncoder();

/** A producer of transactions, as a front end speaks for it (KIP-890: the first batch begins one in its partition). */
export class TransactionalProducer {
  readonly #cluster = new Cluster(env);
  readonly #transactionalId = `producer-${crypto.randomUUID()}`;
  readonly #sequences = new Map<string, number>();
  #identity: ProducerIdentity | undefined;

  /** One batch; returns the offset of its first record. */
  async send(topic: Topic, values: readonly string[], partition = 0): Promise<number> {
    const { producerId, producerEpoch } = await this.#start();
    const to = `${topic.id}/${partition}`;
    const baseSequence = this.#sequences.get(to) ?? 0;
    this.#sequences.set(to, baseSequence + values.length);
    const records = values.map((value) => ({
      timestamp: Date.now(),
      key: null,
      value: encoder.encode(value),
    }));
    const producer = { producerId, producerEpoch, baseSequence, transactional: true };
    const transaction = { transactionalId: this.#transactionalId, adds: true };
    const batch = encodeBatch(records, producer);
    const { baseOffset } = unwrap(await this.#cluster.append(topic, partition, batch, { transaction }));
    return baseOffset;
  }

  commit(): Promise<void> {
    return this.#end(true);
  }

  abort(): Promise<void> {
    return this.#end(false);
  }

  async #end(committed: boolean): Promise<void> {
    const identity = await this.#start();
    const ended = await this.#coordinator().endTransaction({ ...identity, committed, bumpsEpoch: true });
    this.#identity = unwrap(ended);
    this.#sequences.clear();
  }

  async #start(): Promise<ProducerIdentity> {
    const begin = { transactionTimeoutMs: 60_000, current: null };
    this.#identity ??= unwrap(await this.#coordinator().initProducerId(begin));
    return this.#identity;
  }

  #coordinator() {
    return this.#cluster.transaction(this.#transactionalId);
  }
}
