import { canCompress } from "../../log/compression.ts";
import { EdgelogError } from "../../model/errors.ts";
import { BATCH_BYTES_MAX } from "../../model/limits.ts";
import { type OptionNames, requireKnown } from "../known-options.ts";

/** Every option has the meaning and the default of the Kafka property it names, unless its comment says otherwise. */
export interface ProducerOptions {
  /** Where records go that name no topic of their own. Default: none. */
  readonly topic?: string;
  /**
   * How long a record waits for others to share its batch, in ms. Default 5. Records that come while an earlier batch of
   * their partition is under way share the next one in any case. Kafka: `linger.ms`.
   */
  readonly lingerMs?: number;
  /**
   * A batch of so many bytes (before compression) waits for no more. Default 16,384. Unlike Kafka's, a batch grows beyond it,
   * up to `maxRequestSize`, while an earlier one of its partition is under way. It also is how many bytes without a key go
   * to one partition before the next is chosen. Kafka: `batch.size`.
   */
  readonly batchSize?: number;
  /** `none` (the default), `gzip`, or `zstd` where the platform has it (Node, Workers). Kafka: `compression.type`. */
  readonly compression?: "none" | "gzip" | "zstd";
  /**
   * `all` (the default) and `1`: a record's promise resolves when the record is durable; here both mean the same.
   * `0`: it resolves with offset -1 when the request is sent, nothing is retried and no failure is told. Kafka: `acks`.
   */
  readonly acks?: "all" | 0 | 1;
  /**
   * A batch is stored exactly once however often it had to be sent. Default true, or false with `acks: 0`, which excludes
   * it. Kafka: `enable.idempotence`.
   */
  readonly idempotence?: boolean;
  /**
   * The largest batch, in bytes before compression; a record that does not fit is refused with MESSAGE_TOO_LARGE.
   * Default 1,048,576, at most 1,900,000. A topic's own `max.message.bytes` counts too. Kafka: `max.request.size`.
   */
  readonly maxRequestSize?: number;
  /** How often a batch may be sent again after a retriable error. Default 2,147,483,647: `deliveryTimeoutMs` decides. Kafka: `retries`. */
  readonly retries?: number;
  /** How long a record may take from `send()` to its acknowledgement, in ms. Default 120,000. Kafka: `delivery.timeout.ms`. */
  readonly deliveryTimeoutMs?: number;
  /** How long one request may take before it counts as lost and is sent again, in ms. Default 30,000. Kafka: `request.timeout.ms`. */
  readonly requestTimeoutMs?: number;
  /** Pause before the first retry, in ms; doubles with each. Default 100. Kafka: `retry.backoff.ms`. */
  readonly retryBackoffMs?: number;
  /** The longest pause between two tries, in ms. Default 1,000. Kafka: `retry.backoff.max.ms`. */
  readonly retryBackoffMaxMs?: number;
  /**
   * Requests under way at once, over all partitions. Default 16. Unlike Kafka's it never concerns one partition, which
   * always has at most one, so that no retry can reorder. Kafka: `max.in.flight.requests.per.connection`.
   */
  readonly maxInFlight?: number;
  /** Bytes of records that were accepted and not yet acknowledged; beyond it `send()` waits for room. Default 33,554,432. Kafka: `buffer.memory`. */
  readonly bufferMemory?: number;
  /** How long `send()` waits for room or for a topic's metadata, in ms. Default 60,000. Kafka: `max.block.ms`. */
  readonly maxBlockMs?: number;
  /** How old a topic's number of partitions may be, in ms, before it is looked up again. Default 300,000. Kafka: `metadata.max.age.ms`. */
  readonly metadataMaxAgeMs?: number;
}

/** The options with their defaults. */
export type ProducerSettings = Required<Omit<ProducerOptions, "topic">> & {
  readonly topic: string | undefined;
};

const PRODUCER_OPTIONS: OptionNames<ProducerOptions> = {
  topic: true,
  lingerMs: true,
  batchSize: true,
  compression: true,
  acks: true,
  idempotence: true,
  maxRequestSize: true,
  retries: true,
  deliveryTimeoutMs: true,
  requestTimeoutMs: true,
  retryBackoffMs: true,
  retryBackoffMaxMs: true,
  maxInFlight: true,
  bufferMemory: true,
  maxBlockMs: true,
  metadataMaxAgeMs: true,
};

/** Throws INVALID_CONFIG with the option that is wrong. */
export function producerSettings(options: ProducerOptions): ProducerSettings {
  if ("transactionalId" in options) {
    throw invalid("transactionalId: transactions are written by Kafka clients; this one writes none");
  }
  requireKnown(options, PRODUCER_OPTIONS);
  const { acks = "all", compression = "none", idempotence = acks !== 0 } = options;
  if (![0, 1, "all"].includes(acks)) throw invalid(`acks must be "all", 1 or 0, not ${JSON.stringify(acks)}`);
  if (!["none", "gzip", "zstd"].includes(compression) || !canCompress(compression)) {
    const codecs = canCompress("zstd")
      ? '"none", "gzip" or "zstd"'
      : '"none" or "gzip" (zstd cannot be written here)';
    throw invalid(`compression must be ${codecs}, not ${JSON.stringify(compression)}`);
  }
  if (idempotence && acks === 0) {
    throw invalid('idempotence needs acknowledgements: set acks to "all", or idempotence to false');
  }
  const maxRequestSize = whole("maxRequestSize", options.maxRequestSize, 1_048_576, 1, BATCH_BYTES_MAX);
  const settings = {
    topic: options.topic,
    acks,
    compression,
    idempotence,
    maxRequestSize,
    lingerMs: whole("lingerMs", options.lingerMs, 5, 0),
    batchSize: whole("batchSize", options.batchSize, 16_384, 1),
    retries: whole("retries", options.retries, INT_MAX, 0),
    deliveryTimeoutMs: whole("deliveryTimeoutMs", options.deliveryTimeoutMs, 120_000, 1),
    requestTimeoutMs: whole("requestTimeoutMs", options.requestTimeoutMs, 30_000, 1),
    retryBackoffMs: whole("retryBackoffMs", options.retryBackoffMs, 100, 1),
    retryBackoffMaxMs: whole("retryBackoffMaxMs", options.retryBackoffMaxMs, 1_000, 1),
    maxInFlight: whole("maxInFlight", options.maxInFlight, 16, 1),
    bufferMemory: whole("bufferMemory", options.bufferMemory, 33_554_432, 1, Number.MAX_SAFE_INTEGER),
    maxBlockMs: whole("maxBlockMs", options.maxBlockMs, 60_000, 0),
    metadataMaxAgeMs: whole("metadataMaxAgeMs", options.metadataMaxAgeMs, 300_000, 1),
  };
  if (settings.lingerMs > settings.deliveryTimeoutMs) {
    throw invalid("lingerMs must not be longer than deliveryTimeoutMs: no record would ever be sent");
  }
  return settings;
}

/** Also the longest that setTimeout can wait, in ms. */
const INT_MAX = 2 ** 31 - 1;

/** The option if it is a whole number in its range; its default if it is absent. */
export function whole(
  name: string,
  value: number | undefined,
  otherwise: number,
  min: number,
  max = INT_MAX,
): number {
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalid(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
}

function invalid(message: string): EdgelogError {
  return new EdgelogError("INVALID_CONFIG", message);
}
