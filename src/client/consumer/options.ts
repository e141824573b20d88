import { EdgelogError } from "../../model/errors.ts";
import { topicNameProblem } from "../../model/ids.ts";
import { ISOLATIONS, type Isolation } from "../../model/isolation.ts";
import { SUBSCRIBER_CREDIT_BYTES_DEFAULT, SUBSCRIBER_CREDIT_BYTES_MAX } from "../../model/limits.ts";
import { isOffset, isPartition } from "../../subscribe/position.ts";
import type { AbortSignalLike } from "../abort.ts";
import { type OptionNames, requireKnown } from "../known-options.ts";
import { whole } from "../producer/options.ts";

/**
 * Where to begin:
 * - `"latest"`: with what is produced from now on (that is: from when the first record is asked for);
 * - `"earliest"`: with the first record that is kept;
 * - a number: at this offset, where the subscription has one partition;
 * - `{ offsets }`: at these offsets, as `subscription.positions()` told them; partitions that it does not name begin at the
 *   earliest record, so that one added since is not missed;
 * - `{ timestamp }`: with the first record of each partition that is not older than this, in ms since 1970.
 */
export type ConsumeFrom =
  | "earliest"
  | "latest"
  | number
  | { readonly offsets: ReadonlyMap<number, number> | Readonly<Record<number, number>> }
  | { readonly timestamp: number };

/** Every option has the meaning of the Kafka property it names, unless its comment says otherwise. */
export interface ConsumeOptions {
  /** Default `"latest"`. Kafka: `auto.offset.reset`, where a group has no committed offset. */
  readonly from?: ConsumeFrom;
  /** 0-based. Default: all, and those that are added later. Kafka: `assign()`. */
  readonly partitions?: readonly number[];
  /** Ends the subscription: the loop throws the signal's reason. To end it without, leave the loop or call `close()`. */
  readonly signal?: AbortSignalLike;
  /** false: ends where the log ended when the subscription began. Default true: waits for more. */
  readonly follow?: boolean;
  /**
   * When the position is no longer in the log (retention has passed it, or the log was truncated): `"none"` throws
   * OFFSET_OUT_OF_RANGE, so that a gap is never silent; `"earliest"` and `"latest"` go on from there. Default `"none"`, unlike
   * Kafka, whose default is latest. Kafka: `auto.offset.reset`.
   */
  readonly offsetReset?: "earliest" | "latest" | "none";
  /**
   * What it sees of Kafka's transactions: `"read_uncommitted"` (the default) all records as they are written;
   * `"read_committed"` none of those that are open or aborted, and nothing behind the first open one. Kafka: `isolation.level`.
   */
  readonly isolationLevel?: Isolation;
  /**
   * Bytes of batches that each connection may have sent before the application took them; a loop that stands still holds the
   * cluster back here. Default 1,048,576; 65,536 to 16,777,216. Kafka: `max.partition.fetch.bytes`.
   */
  readonly creditBytes?: number;
  /**
   * Up to so many partitions have a connection each, straight to their leader; more share connections through a Worker.
   * Default 8. Kafka has no such property.
   */
  readonly maxDirectConnections?: number;
  /** Pause before the first try to connect again, in ms; doubles with each. Default 50. Kafka: `reconnect.backoff.ms`. */
  readonly reconnectBackoffMs?: number;
  /** The longest pause between two tries, in ms. Default 1,000. Kafka: `reconnect.backoff.max.ms`. */
  readonly reconnectBackoffMaxMs?: number;
  /** How long opening a connection may take, in ms. Default 10,000. Kafka: `socket.connection.setup.timeout.ms`. */
  readonly connectTimeoutMs?: number;
  /** How often a silent connection is asked whether it is alive, in ms. Default 30,000. Kafka has no such property. */
  readonly pingIntervalMs?: number;
  /** How old the number of partitions may be, in ms, before new ones are looked for. Default 300,000. Kafka: `metadata.max.age.ms`. */
  readonly metadataMaxAgeMs?: number;
  /** Told whenever a connection was lost and is made again, with the reason: for logs and for the user's eye. */
  readonly onDisconnect?: (reason: EdgelogError) => void;
  /** With it, the subscription is a member of a consumer group: see {@link GroupConsumeOptions}. */
  readonly group?: undefined;
}

export type ConsumeSettings = Required<
  Omit<ConsumeOptions, "group" | "onDisconnect" | "partitions" | "signal">
> &
  Pick<ConsumeOptions, "onDisconnect" | "partitions" | "signal"> & { readonly topic: string };

/** Those of {@link ConsumeOptions} that a group has, too. */
export const READING_OPTIONS: OptionNames<Omit<ConsumeOptions, "follow" | "from" | "group" | "partitions">> =
  {
    signal: true,
    offsetReset: true,
    isolationLevel: true,
    creditBytes: true,
    maxDirectConnections: true,
    reconnectBackoffMs: true,
    reconnectBackoffMaxMs: true,
    connectTimeoutMs: true,
    pingIntervalMs: true,
    metadataMaxAgeMs: true,
    onDisconnect: true,
  };

const CONSUME_OPTIONS: OptionNames<ConsumeOptions> = {
  ...READING_OPTIONS,
  from: true,
  partitions: true,
  follow: true,
  group: true,
};

const CREDIT_BYTES_MIN = 65_536;

/** Throws INVALID_CONFIG with the option that is wrong, INVALID_TOPIC_EXCEPTION for the topic's name. */
export function consumeSettings(topic: string, options: ConsumeOptions): ConsumeSettings {
  const problem = topicNameProblem(topic);
  if (problem !== undefined) throw new EdgelogError("INVALID_TOPIC_EXCEPTION", problem);
  requireKnown(options, CONSUME_OPTIONS);
  const { partitions, from = "latest", offsetReset = "none" } = options;
  if (partitions !== undefined) {
    if (
      partitions.length === 0 ||
      !partitions.every(isPartition) ||
      new Set(partitions).size < partitions.length
    ) {
      throw invalid(
        `partitions must name each partition once, by its number from 0, not ${JSON.stringify(partitions)}`,
      );
    }
  }
  if (!isFrom(from)) {
    throw invalid(
      `from must be "earliest", "latest", an offset, { offsets } or { timestamp }, not ${JSON.stringify(from)}`,
    );
  }
  if (!["earliest", "latest", "none"].includes(offsetReset)) {
    throw invalid(`offsetReset must be "none", "earliest" or "latest", not ${JSON.stringify(offsetReset)}`);
  }
  const { isolationLevel = "read_uncommitted" } = options;
  if (!ISOLATIONS.includes(isolationLevel)) {
    throw invalid(
      `isolationLevel must be "read_uncommitted" or "read_committed", not ${JSON.stringify(isolationLevel)}`,
    );
  }
  return {
    topic,
    from,
    offsetReset,
    isolationLevel,
    follow: options.follow ?? true,
    creditBytes: whole(
      "creditBytes",
      options.creditBytes,
      SUBSCRIBER_CREDIT_BYTES_DEFAULT,
      CREDIT_BYTES_MIN,
      SUBSCRIBER_CREDIT_BYTES_MAX,
    ),
    maxDirectConnections: whole("maxDirectConnections", options.maxDirectConnections, 8, 0),
    reconnectBackoffMs: whole("reconnectBackoffMs", options.reconnectBackoffMs, 50, 1),
    reconnectBackoffMaxMs: whole("reconnectBackoffMaxMs", options.reconnectBackoffMaxMs, 1_000, 1),
    connectTimeoutMs: whole("connectTimeoutMs", options.connectTimeoutMs, 10_000, 1),
    pingIntervalMs: whole("pingIntervalMs", options.pingIntervalMs, 30_000, 1),
    metadataMaxAgeMs: whole("metadataMaxAgeMs", options.metadataMaxAgeMs, 300_000, 1),
    ...(partitions !== undefined && { partitions }),
    ...(options.signal !== undefined && { signal: options.signal }),
    ...(options.onDisconnect !== undefined && { onDisconnect: options.onDisconnect }),
  };
}

function isFrom(from: ConsumeFrom): boolean {
  if (typeof from === "string") return from === "earliest" || from === "latest";
  if (typeof from === "number") return isOffset(from);
  if ("timestamp" in from) return isOffset(from.timestamp);
  return (
    "offsets" in from &&
    offsetEntries(from.offsets).every(([partition, offset]) => isPartition(partition) && isOffset(offset))
  );
}

/** The offsets by partition, whichever way they were given. */
export function offsetEntries(
  offsets: ReadonlyMap<number, number> | Readonly<Record<number, number>>,
): [partition: number, offset: number][] {
  if (offsets instanceof Map) return [...offsets];
  return Object.entries(offsets).map(([partition, offset]) => [Number(partition), offset]);
}

function invalid(message: string): EdgelogError {
  return new EdgelogError("INVALID_CONFIG", message);
}
