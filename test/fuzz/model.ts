/** What the cluster must hold after every request that was valid, and nothing else. */

export interface ModelRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[];
  /** undefined: the Worker's clock, until it has been read back. */
  timestamp: number | undefined;
}

export interface ModelProducer {
  readonly epoch: number;
  /** The last five batches. */
  readonly batches: readonly { readonly first: number; readonly last: number; readonly offset: number }[];
}

export class ModelLog {
  start = 0;
  /** Index = offset; what lies before `start` is still here, but gone. */
  readonly records: ModelRecord[] = [];
  readonly producers = new Map<number, ModelProducer>();

  get end(): number {
    return this.records.length;
  }
}

export class ModelTopic {
  partitions: number;
  readonly configs: Map<string, string>;
  readonly #logs = new Map<number, ModelLog>();

  constructor(partitions: number, configs: ReadonlyMap<string, string> = new Map()) {
    this.partitions = partitions;
    this.configs = new Map(configs);
  }

  log(partition: number): ModelLog {
    let log = this.#logs.get(partition);
    if (log === undefined) {
      log = new ModelLog();
      this.#logs.set(partition, log);
    }
    return log;
  }

  /** Those that have ever been looked at. */
  logs(): ReadonlyMap<number, ModelLog> {
    return this.#logs;
  }

  get maxMessageBytes(): number {
    return Number(this.configs.get("max.message.bytes") ?? 1_048_588);
  }
}

export class Model {
  readonly topics = new Map<string, ModelTopic>();
  /** All names of this lane begin so. */
  readonly prefix: string;
  /** Partitions of a topic that does not say how many. */
  readonly defaultPartitions: number;

  constructor(prefix: string, defaultPartitions: number) {
    this.prefix = prefix;
    this.defaultPartitions = defaultPartitions;
  }

  /** Kafka's rule: names that differ only in "." and "_" collide. */
  collides(name: string): boolean {
    const folded = name.replaceAll(".", "_");
    return [...this.topics.keys()].some((other) => other.replaceAll(".", "_") === folded);
  }
}
