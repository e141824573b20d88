import { EdgelogError } from "../../model/errors.ts";
import type { AbortSignalLike } from "../abort.ts";
import { type RetryOptions, retrying } from "../retry.ts";
import { property, type Transport } from "../transport.ts";

/** Kafka's epochs are int16. */
const PRODUCER_EPOCH_MAX = 2 ** 15 - 1;
/** Sequences go from Int32.MAX on to 0. */
const SEQUENCES = 2 ** 31;

/** Producer ids (Kafka's InitProducerId): one for all partitions, until one of them has used it up. */
export class ProducerIds {
  readonly #transport: Transport;
  #current: Promise<number> | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** An id other than `usedUp`. */
  async get(usedUp: number | undefined, retry: RetryOptions): Promise<number> {
    for (;;) {
      const current = this.#current ?? this.#allocate(retry);
      const id = await current;
      if (id !== usedUp) return id;
      if (this.#current === current) this.#current = undefined;
    }
  }

  #allocate(retry: RetryOptions): Promise<number> {
    const allocated = retrying(() => this.#request(retry.signal), retry);
    this.#current = allocated;
    allocated.catch(() => {
      if (this.#current === allocated) this.#current = undefined;
    });
    return allocated;
  }

  async #request(signal: AbortSignalLike | undefined): Promise<number> {
    const answer = await this.#transport.call({ method: "POST", path: "/v1/producers", signal });
    const id = property(answer, "producer_id");
    if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0) return id;
    throw new EdgelogError("NETWORK_EXCEPTION", "the answer of POST /v1/producers has no producer_id");
  }
}

/**
 * What an idempotent producer is to one partition: its id, its epoch there, and the sequence of the next batch.
 *
 * A partition keeps its sequences per producer id by itself, so the epoch can be a partition's own too. Whenever a batch that
 * was sent is given up, its sequences may or may not have been used; the next epoch begins at 0 again, and whatever of the
 * old epoch is still on its way is refused by the leader (KIP-360, where the client raises the epoch by itself as well).
 */
export class PartitionIdentity {
  readonly #ids: Pick<ProducerIds, "get">;
  #producerId: number | undefined;
  #usedUp: number | undefined;
  #epoch = 0;
  #nextSequence = 0;

  constructor(ids: Pick<ProducerIds, "get">) {
    this.#ids = ids;
  }

  /** To be awaited before {@link fields}. */
  async prepare(retry: RetryOptions): Promise<void> {
    this.#producerId ??= await this.#ids.get(this.#usedUp, retry);
  }

  /** What the next batch carries. */
  get fields(): { producerId: number; producerEpoch: number; baseSequence: number } {
    if (this.#producerId === undefined) throw new Error("fields were read before prepare()");
    return { producerId: this.#producerId, producerEpoch: this.#epoch, baseSequence: this.#nextSequence };
  }

  /** The leader has stored a batch of so many records. */
  advance(records: number): void {
    this.#nextSequence = (this.#nextSequence + records) % SEQUENCES;
  }

  /** A batch that was sent is given up. */
  startNextEpoch(): void {
    if (this.#epoch === PRODUCER_EPOCH_MAX) {
      this.startAnew();
      return;
    }
    this.#epoch += 1;
    this.#nextSequence = 0;
  }

  /** The id cannot be used in this partition any more. */
  startAnew(): void {
    this.#usedUp = this.#producerId;
    this.#producerId = undefined;
    this.#epoch = 0;
    this.#nextSequence = 0;
  }
}
