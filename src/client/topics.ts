import { EdgelogError, type ErrorName } from "../model/errors.ts";
import type { Isolation } from "../model/isolation.ts";
import type { AbortSignalLike } from "./abort.ts";
import { type OptionNames, requireKnown } from "./known-options.ts";
import { isRetriable } from "./retry.ts";
import { type Call, path, property, type Transport } from "./transport.ts";

/** A topic's configs by Kafka's names, such as `retention.ms`. */
export type TopicConfigs = Readonly<Record<string, string>>;

export interface TopicDescription {
  readonly name: string;
  /** Kafka's topic id: never used again, even when a topic of the same name is made anew. */
  readonly id: string;
  readonly partitions: number;
  /** What differs from the defaults. */
  readonly configs: TopicConfigs;
  /** ms since 1970. */
  readonly createdAtMs: number;
}

/** A topic with every config in effect, defaults included. */
export interface TopicDetails extends TopicDescription {
  readonly configsInEffect: TopicConfigs;
}

/** Where one partition begins or ends, or where a time lies in it. */
export interface PartitionOffset {
  readonly partition: number;
  /** -1 where no record is as recent as the timestamp asked for. */
  readonly offset: number;
  /** ms since 1970, of the record; -1 where there is none. */
  readonly timestamp: number;
}

/** Where a partition's log begins and ends, and where it lies. */
export interface PartitionDescription {
  readonly partition: number;
  /** The first offset that is kept. */
  readonly logStartOffset: number;
  /** The offset after the last record. */
  readonly highWatermark: number;
  /** Records before it are read from R2. */
  readonly earliestLocalOffset: number;
  readonly localSegments: number;
  readonly localBytes: number;
  readonly remoteSegments: number;
  readonly remoteBytes: number;
  /** Sockets that the leader serves. */
  readonly subscribers: number;
}

export interface CallOptions {
  readonly signal?: AbortSignalLike;
}

export interface DescribeTopicOptions extends CallOptions {
  /** Create it if there is none and the cluster allows it. Default false. Kafka: `allow.auto.create.topics`. */
  readonly autoCreate?: boolean;
}

export interface CreateTopicOptions extends CallOptions {
  /** 1 to 1,000,000; absent: the cluster's default (Kafka: `num.partitions`). */
  readonly partitions?: number;
  readonly configs?: Readonly<Record<string, string | number | boolean>>;
}

export interface AlterTopicOptions extends CallOptions {
  /** The new total; partitions can only be added. */
  readonly partitions?: number;
  /** null: back to the default. */
  readonly configs?: Readonly<Record<string, string | number | boolean | null>>;
}

export interface OffsetsOptions extends CallOptions {
  /** Absent: all. */
  readonly partitions?: readonly number[];
  /** `latest` (the default): the log end; `earliest`: the log start; ms since 1970: the first record that is not older. */
  readonly timestamp?: "earliest" | "latest" | number;
  /** `"read_committed"`: `latest` is the last stable offset. Default `"read_uncommitted"`. Kafka: `isolation.level`. */
  readonly isolationLevel?: Isolation;
}

export const CALL_OPTIONS: OptionNames<CallOptions> = { signal: true };
const DESCRIBE_OPTIONS: OptionNames<DescribeTopicOptions> = { ...CALL_OPTIONS, autoCreate: true };
const CHANGE_OPTIONS: OptionNames<CreateTopicOptions & AlterTopicOptions> = {
  ...CALL_OPTIONS,
  partitions: true,
  configs: true,
};
const OFFSETS_OPTIONS: OptionNames<OffsetsOptions> = {
  ...CALL_OPTIONS,
  partitions: true,
  timestamp: true,
  isolationLevel: true,
};

/**
 * The topics of a cluster; `client.topics`. What fails retriably is tried again for as long as the client's
 * `requestTimeoutMs` allows. Where the answer to a change was lost, finding it made counts as having made it.
 */
export class Topics {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** All topics, by name; fetched page by page as they are read. */
  async *list(options: CallOptions = {}): AsyncGenerator<TopicDescription, void, undefined> {
    requireKnown(options, CALL_OPTIONS);
    let after: string | undefined;
    do {
      const answer = await this.#transport.callRepeatedly({
        path: "/v1/topics",
        query: { after },
        signal: options.signal,
      });
      const topics = property(answer, "topics");
      if (!Array.isArray(topics)) throw unexpected("GET /v1/topics");
      for (const topic of topics) yield parseTopic(topic);
      const next = property(answer, "next_after");
      after = typeof next === "string" ? next : undefined;
    } while (after !== undefined);
  }

  /** Throws TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_CONFIG. */
  async create(name: string, options: CreateTopicOptions = {}): Promise<TopicDescription> {
    requireKnown(options, CHANGE_OPTIONS);
    const { partitions, configs, signal } = options;
    const json = { name, partitions, configs: configs && mapValues(configs, String) };
    let isLost = false;
    return this.#transport.repeat(async () => {
      try {
        return parseTopic(await this.#transport.call({ method: "POST", path: "/v1/topics", json, signal }));
      } catch (error) {
        if (!isLost || codeOf(error) !== "TOPIC_ALREADY_EXISTS") {
          isLost ||= isRetriable(error);
          throw error;
        }
        const topic = await this.describe(name, callOptions(options));
        if (topic.partitions !== (partitions ?? topic.partitions)) throw error;
        return topic;
      }
    }, signal);
  }

  /** Throws UNKNOWN_TOPIC_OR_PARTITION. */
  async describe(name: string, options: DescribeTopicOptions = {}): Promise<TopicDetails> {
    requireKnown(options, DESCRIBE_OPTIONS);
    return parseDetails(await this.#transport.callRepeatedly(describeCall(name, options)));
  }

  /** Adds partitions, changes configs, or both. Throws UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_CONFIG. */
  async alter(name: string, options: AlterTopicOptions): Promise<TopicDetails> {
    requireKnown(options, CHANGE_OPTIONS);
    const { partitions, configs, signal } = options;
    const json = {
      partitions,
      configs: configs && mapValues(configs, (value) => (value === null ? null : String(value))),
    };
    let isLost = false;
    return this.#transport.repeat(async () => {
      try {
        const call = { method: "PATCH", path: path`/v1/topics/${name}`, json, signal } as const;
        return parseDetails(await this.#transport.call(call));
      } catch (error) {
        const isGrown = isLost && codeOf(error) === "INVALID_PARTITIONS";
        const topic = isGrown ? await this.describe(name, callOptions(options)) : undefined;
        if (topic !== undefined && topic.partitions === partitions) return topic;
        isLost ||= isRetriable(error);
        throw error;
      }
    }, signal);
  }

  /** Its records are gone for good. Throws UNKNOWN_TOPIC_OR_PARTITION. */
  async delete(name: string, options: CallOptions = {}): Promise<void> {
    requireKnown(options, CALL_OPTIONS);
    const { signal } = options;
    let isLost = false;
    await this.#transport.repeat(async () => {
      try {
        await this.#transport.call({ method: "DELETE", path: path`/v1/topics/${name}`, signal });
      } catch (error) {
        if (isLost && codeOf(error) === "UNKNOWN_TOPIC_OR_PARTITION") return;
        isLost ||= isRetriable(error);
        throw error;
      }
    }, signal);
  }

  /** Throws UNKNOWN_TOPIC_OR_PARTITION. */
  async describePartition(
    name: string,
    partition: number,
    options: CallOptions = {},
  ): Promise<PartitionDescription> {
    requireKnown(options, CALL_OPTIONS);
    const call = { path: path`/v1/topics/${name}/partitions/${partition}`, signal: options.signal };
    const answer = await this.#transport.callRepeatedly(call);
    const count = (field: string): number => {
      const value = property(answer, field);
      if (typeof value !== "number") throw unexpected(`GET ${call.path}`);
      return value;
    };
    return {
      partition,
      logStartOffset: count("log_start_offset"),
      highWatermark: count("high_watermark"),
      earliestLocalOffset: count("earliest_local_offset"),
      localSegments: count("local_segments"),
      localBytes: count("local_bytes"),
      remoteSegments: count("remote_segments"),
      remoteBytes: count("remote_bytes"),
      subscribers: count("subscribers"),
    };
  }

  /** One entry per partition, in order (Kafka's ListOffsets). */
  async offsets(name: string, options: OffsetsOptions = {}): Promise<PartitionOffset[]> {
    requireKnown(options, OFFSETS_OPTIONS);
    const { timestamp = "latest" } = options;
    const partitions =
      options.partitions ?? range((await this.describe(name, callOptions(options))).partitions);
    const offsets: PartitionOffset[] = [];
    // A few at a time: a topic may have a million partitions.
    for (let at = 0; at < partitions.length; at += AT_ONCE) {
      const some = partitions.slice(at, at + AT_ONCE);
      offsets.push(...(await Promise.all(some.map((each) => this.#offset(name, each, timestamp, options)))));
    }
    return offsets;
  }

  async #offset(
    name: string,
    partition: number,
    timestamp: "earliest" | "latest" | number,
    { isolationLevel: isolation, signal }: OffsetsOptions,
  ): Promise<PartitionOffset> {
    const call = {
      path: path`/v1/topics/${name}/partitions/${partition}/offsets`,
      query: { timestamp, isolation },
      signal,
    };
    const answer = await this.#transport.callRepeatedly(call);
    const offset = property(answer, "offset");
    const found = property(answer, "timestamp");
    if (typeof offset !== "number" || typeof found !== "number") throw unexpected(`GET ${call.path}`);
    return { partition, offset, timestamp: found };
  }
}

export function callOptions({ signal }: CallOptions): CallOptions {
  return signal === undefined ? {} : { signal };
}

/** {@link Topics.describe} in one try, for who retries by a time of its own. */
export async function describeOnce(
  transport: Transport,
  name: string,
  options: DescribeTopicOptions & { readonly timeoutMs: number },
): Promise<TopicDetails> {
  const { timeoutMs } = options;
  return parseDetails(await transport.call({ ...describeCall(name, options), timeoutMs }));
}

function describeCall(name: string, { autoCreate, signal }: DescribeTopicOptions): Call {
  const query = { auto_create: autoCreate === true ? "true" : undefined };
  return { path: path`/v1/topics/${name}`, query, signal };
}

const AT_ONCE = 16;

function codeOf(error: unknown): ErrorName | undefined {
  return error instanceof EdgelogError ? error.code : undefined;
}

function parseTopic(answer: unknown): TopicDescription {
  const name = property(answer, "name");
  const id = property(answer, "id");
  const partitions = property(answer, "partitions");
  const configs = property(answer, "configs");
  const createdAtMs = property(answer, "created_at_ms");
  if (typeof name !== "string" || typeof id !== "string" || typeof partitions !== "number") {
    throw unexpected("the cluster's description of a topic");
  }
  return {
    name,
    id,
    partitions,
    createdAtMs: Number(createdAtMs),
    configs: typeof configs === "object" && configs !== null ? mapValues({ ...configs }, String) : {},
  };
}

function parseDetails(answer: unknown): TopicDetails {
  const configsInEffect: Record<string, string> = {};
  const entries = property(answer, "config_entries");
  if (!Array.isArray(entries)) throw unexpected("the cluster's description of a topic");
  for (const entry of entries) {
    const value = property(entry, "effective_value") ?? property(entry, "value");
    configsInEffect[String(property(entry, "name"))] = String(value);
  }
  return { ...parseTopic(answer), configsInEffect };
}

function mapValues<V, R>(values: Readonly<Record<string, V>>, map: (value: V) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

function unexpected(what: string): EdgelogError {
  return new EdgelogError(
    "NETWORK_EXCEPTION",
    `${what} has an unexpected form; is the client older than the cluster?`,
  );
}
