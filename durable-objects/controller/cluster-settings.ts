import { PRODUCER_ID_BLOCK_SIZE } from "../../src/model/limits.ts";
import { integer, text } from "../partition/storage.ts";
import type { ProducerIdBlock } from "./rpc.ts";
import type { ControllerStorage } from "./storage.ts";

/** What the cluster has one of: its id, and the next producer id that nobody has been given. */
export class ClusterSettings {
  readonly #storage: ControllerStorage;

  constructor(storage: ControllerStorage) {
    this.#storage = storage;
  }

  clusterId(): string {
    const [row = {}] = this.#storage.exec("SELECT value FROM settings WHERE name = 'cluster_id'");
    return text(row, "value");
  }

  /** Ids that nobody else is given, ever: a block whose answer is lost is lost. */
  allocateProducerIds(): ProducerIdBlock {
    const [row = {}] = this.#storage.exec(
      "UPDATE settings SET value = value + ? WHERE name = 'next_producer_id' RETURNING value",
      PRODUCER_ID_BLOCK_SIZE,
    );
    const next = integer(row, "value");
    if (!Number.isSafeInteger(next)) throw new RangeError("the producer ids are used up");
    return { first: next - PRODUCER_ID_BLOCK_SIZE, count: PRODUCER_ID_BLOCK_SIZE };
  }
}
