import { EdgelogError } from "../../../model/errors.ts";
import { groupIdProblem, topicNameProblem } from "../../../model/ids.ts";
import {
  GROUP_REBALANCE_TIMEOUT_MS_DEFAULT,
  GROUP_REBALANCE_TIMEOUT_MS_MAX,
  GROUP_SUBSCRIBED_TOPICS_MAX,
} from "../../../model/limits.ts";
import { type OptionNames, requireKnown } from "../../known-options.ts";
import { whole } from "../../producer/options.ts";
import { type ConsumeOptions, type ConsumeSettings, consumeSettings, READING_OPTIONS } from "../options.ts";

/** Every topic whose whole name matches, those that come later included; RE2's syntax. */
export interface TopicPattern {
  readonly pattern: string;
}

/** A partition that a member of a group has, or has had. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A position to commit: the offset of the next record to be read. */
export interface OffsetToCommit extends TopicPartition {
  readonly offset: number;
  /** Kept beside the offset. Default: empty. */
  readonly metadata?: string;
}

/** Every option has the meaning of the Kafka property it names, unless its comment says otherwise. */
export interface GroupConsumeOptions
  extends Omit<ConsumeOptions, "follow" | "from" | "group" | "partitions"> {
  /** The group's id. Kafka: `group.id`. */
  readonly group: string;
  /**
   * Where to begin with a partition of which the group has committed nothing: `"latest"` (the default), `"earliest"`, or
   * `{ timestamp }`: with the first record that is not older, in ms since 1970. Kafka: `auto.offset.reset`.
   */
  readonly from?: "earliest" | "latest" | { readonly timestamp: number };
  /**
   * Where to go on when a committed offset is no longer in the log. Default: where `from` says, `"earliest"` with a
   * timestamp. Kafka: `auto.offset.reset`.
   */
  readonly offsetReset?: "earliest" | "latest" | "none";
  /**
   * Positions are committed every `autoCommitIntervalMs`, before a partition is given up, and at the end; a record counts
   * as processed when the loop asks for the next one. false: only `commit()` commits. Default true. Kafka:
   * `enable.auto.commit`.
   */
  readonly autoCommit?: boolean;
  /** In ms. Default 5,000. Kafka: `auto.commit.interval.ms`. */
  readonly autoCommitIntervalMs?: number;
  /**
   * How long the loop may be with one record when its partition is to be given up, in ms; then the others go on without
   * this member. Default 300,000. Kafka: `max.poll.interval.ms`.
   */
  readonly rebalanceTimeoutMs?: number;
  /** Makes a static member: one that comes back with the same id soon gets its partitions back. Kafka: `group.instance.id`. */
  readonly groupInstanceId?: string;
  /** How partitions are divided; what most members ask for is done. Default `"uniform"`. Kafka: `group.remote.assignor`. */
  readonly assignor?: "uniform" | "range";
  /** What the group's description calls this member. Default `"edgelog"`. Kafka: `client.id`. */
  readonly clientId?: string;
  /** Told of partitions before their first record comes. Kafka: `ConsumerRebalanceListener.onPartitionsAssigned`. */
  readonly onAssigned?: (partitions: readonly TopicPartition[]) => void;
  /**
   * Told of partitions whose records come no more, before they are committed and given up, which waits for what it returns:
   * when others are to have them, and at the end of the subscription. So it must not itself wait for `close()`.
   * `lost`: they may be another member's already, and are not committed. Kafka: `onPartitionsRevoked`, `onPartitionsLost`.
   */
  readonly onRevoked?: (partitions: readonly TopicPartition[], lost: boolean) => void | Promise<void>;
}

export interface GroupSettings {
  readonly group: string;
  readonly topics: readonly string[];
  readonly topicPattern: string | undefined;
  readonly from: "earliest" | "latest" | { readonly timestamp: number };
  readonly autoCommit: boolean;
  readonly autoCommitIntervalMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly groupInstanceId: string | undefined;
  readonly assignor: "uniform" | "range" | undefined;
  readonly clientId: string;
  readonly onAssigned: GroupConsumeOptions["onAssigned"];
  readonly onRevoked: GroupConsumeOptions["onRevoked"];
  /** What the reading of every partition has in common. */
  readonly reading: Omit<ConsumeSettings, "topic">;
}

const GROUP_OPTIONS: OptionNames<GroupConsumeOptions> = {
  ...READING_OPTIONS,
  group: true,
  from: true,
  autoCommit: true,
  autoCommitIntervalMs: true,
  rebalanceTimeoutMs: true,
  groupInstanceId: true,
  assignor: true,
  clientId: true,
  onAssigned: true,
  onRevoked: true,
};

/** Throws INVALID_CONFIG with the option that is wrong, INVALID_TOPIC_EXCEPTION, INVALID_GROUP_ID. */
export function groupSettings(
  topics: string | readonly string[] | TopicPattern,
  options: GroupConsumeOptions,
): GroupSettings {
  const { group, from = "latest", assignor, autoCommit = true, ...others } = options;
  const problem = groupIdProblem(group);
  if (problem !== undefined) throw new EdgelogError("INVALID_GROUP_ID", problem);
  for (const name of ["follow", "partitions"]) {
    if (Reflect.get(options, name) !== undefined) {
      throw invalid(
        `${name} is not for a group, whose members are assigned their partitions and go on reading`,
      );
    }
  }
  if (from !== "earliest" && from !== "latest" && !isTimestamp(from)) {
    throw invalid(
      `from must be "earliest", "latest" or { timestamp } in a group, not ${JSON.stringify(from)}`,
    );
  }
  if (assignor !== undefined && assignor !== "uniform" && assignor !== "range") {
    throw invalid(`assignor must be "uniform" or "range", not ${JSON.stringify(assignor)}`);
  }
  requireKnown(options, GROUP_OPTIONS);
  const names = namesOf(topics);
  const { topic: _, ...reading } = consumeSettings(names[0] ?? "any", {
    ...pickReading(others),
    from,
    offsetReset: options.offsetReset ?? (typeof from === "string" ? from : "earliest"),
  });
  return {
    group,
    topics: names,
    topicPattern: isPattern(topics) ? topics.pattern : undefined,
    from,
    autoCommit,
    autoCommitIntervalMs: whole("autoCommitIntervalMs", options.autoCommitIntervalMs, 5_000, 1),
    rebalanceTimeoutMs: whole(
      "rebalanceTimeoutMs",
      options.rebalanceTimeoutMs,
      GROUP_REBALANCE_TIMEOUT_MS_DEFAULT,
      1,
      GROUP_REBALANCE_TIMEOUT_MS_MAX,
    ),
    groupInstanceId: options.groupInstanceId,
    assignor,
    clientId: options.clientId ?? "edgelog",
    onAssigned: options.onAssigned,
    onRevoked: options.onRevoked,
    reading,
  };
}

function isPattern(topics: string | readonly string[] | TopicPattern): topics is TopicPattern {
  return typeof topics === "object" && "pattern" in topics;
}

function namesOf(topics: string | readonly string[] | TopicPattern): readonly string[] {
  if (isPattern(topics)) {
    if (typeof topics.pattern === "string" && topics.pattern !== "") return [];
    throw invalid("pattern must be a regular expression over topic names");
  }
  const names = typeof topics === "string" ? [topics] : [...new Set(topics)];
  if (names.length === 0 || names.length > GROUP_SUBSCRIBED_TOPICS_MAX) {
    throw invalid(`topics must name 1 to ${GROUP_SUBSCRIBED_TOPICS_MAX} topics, not ${names.length}`);
  }
  for (const name of names) {
    const problem = topicNameProblem(name);
    if (problem !== undefined) throw new EdgelogError("INVALID_TOPIC_EXCEPTION", problem);
  }
  return names;
}

function pickReading(options: Omit<GroupConsumeOptions, "group">): ConsumeOptions {
  const { signal, creditBytes, maxDirectConnections, connectTimeoutMs, pingIntervalMs } = options;
  const { reconnectBackoffMs, reconnectBackoffMaxMs, metadataMaxAgeMs, onDisconnect } = options;
  const { isolationLevel } = options;
  return {
    ...(signal !== undefined && { signal }),
    ...(creditBytes !== undefined && { creditBytes }),
    ...(maxDirectConnections !== undefined && { maxDirectConnections }),
    ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
    ...(pingIntervalMs !== undefined && { pingIntervalMs }),
    ...(reconnectBackoffMs !== undefined && { reconnectBackoffMs }),
    ...(reconnectBackoffMaxMs !== undefined && { reconnectBackoffMaxMs }),
    ...(metadataMaxAgeMs !== undefined && { metadataMaxAgeMs }),
    ...(isolationLevel !== undefined && { isolationLevel }),
    ...(onDisconnect !== undefined && { onDisconnect }),
  };
}

function isTimestamp(from: unknown): from is { readonly timestamp: number } {
  if (typeof from !== "object" || from === null || !("timestamp" in from)) return false;
  return Number.isSafeInteger(from.timestamp) && Number(from.timestamp) >= 0;
}

function invalid(message: string): EdgelogError {
  return new EdgelogError("INVALID_CONFIG", message);
}
