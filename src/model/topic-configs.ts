/**
 * What topic configs may say and what follows from them. A config that is not honoured is refused with the reason, never
 * stored in silence.
 */

import { type Failure, failure } from "./errors.ts";
import { CONFIG_VALUE_CHARACTERS_MAX, SEGMENT_BYTES_MAX } from "./limits.ts";
import { LONG_MAX_TEXT, type TopicConfigDefinition, topicConfigDefinition } from "./topic-config-table.ts";

const INT_MAX = 2n ** 31n - 1n;
const LONG_MAX = 2n ** 63n - 1n;
/** No honoured value is longer, so a message never repeats more of a wrong one. */
const SHOWN_CHARACTERS_MAX = 100;

/** The values that differ from the defaults, as they were given: what is stored and sent around. */
export type TopicConfigOverrides = Readonly<Record<string, string>>;

/** INVALID_CONFIG with the reason, or undefined if the value is honoured. As in Kafka, spaces around a value do not count. */
export function topicConfigProblem(name: string, value: string): Failure | undefined {
  const config = topicConfigDefinition(name);
  if (config === undefined) return failure("INVALID_CONFIG", `there is no topic config ${shown(name)}`);
  if (value.length > CONFIG_VALUE_CHARACTERS_MAX) {
    return failure(
      "INVALID_CONFIG",
      `the value of ${name} has ${value.length} characters; at most ${CONFIG_VALUE_CHARACTERS_MAX} are allowed`,
    );
  }
  const wrong = valueProblem(config, value.trim());
  if (wrong === undefined) return undefined;
  const because = config.reason === undefined ? "" : `: ${config.reason}`;
  return failure("INVALID_CONFIG", `${name} ${wrong}${because}`);
}

/**
 * Why these overrides cannot stand together, each being honoured alone, or undefined. Kafka's rules
 * (`LogConfig.validateValues`): a local copy is not kept longer than the log, and compaction lags are in order.
 */
export function topicConfigsProblem(overrides: TopicConfigOverrides): Failure | undefined {
  const configs = topicConfigs(overrides);
  const text = (name: string) => configText(overrides, name);
  if (Number(text("min.compaction.lag.ms")) > Number(text("max.compaction.lag.ms"))) {
    return failure("INVALID_CONFIG", "min.compaction.lag.ms must not be more than max.compaction.lag.ms");
  }
  if (!configs.remoteStorageEnable) return undefined;
  const { localRetentionMs = 0, localRetentionBytes = 0 } = configs;
  if (localRetentionMs > configs.retentionMs) {
    return failure(
      "INVALID_CONFIG",
      `local.retention.ms (${text("local.retention.ms")}) must not be more than retention.ms (${text("retention.ms")})`,
    );
  }
  if (localRetentionBytes > configs.retentionBytes) {
    return failure(
      "INVALID_CONFIG",
      `local.retention.bytes (${text("local.retention.bytes")}) must not be more than retention.bytes (${text("retention.bytes")})`,
    );
  }
  return undefined;
}

/** What is wrong with a value, to be read after the config's name. */
function valueProblem(config: TopicConfigDefinition, value: string): string | undefined {
  switch (config.type) {
    case "int":
    case "long":
      return wholeNumberProblem(config, value) ?? choiceProblem(config, value);
    case "double": {
      const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = config;
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value))
        return `must be a number, not ${shown(value)}`;
      const inside = Number(value) >= min && Number(value) <= max;
      return inside ? undefined : `must be from ${min} to ${max}, not ${shown(value)}`;
    }
    case "boolean":
      if (!/^(true|false)$/i.test(value)) return `must be true or false, not ${shown(value)}`;
      return choiceProblem(config, value.toLowerCase());
    case "list": {
      const items = listItems(value);
      const repeated = items.find((item, index) => items.indexOf(item) !== index);
      if (repeated !== undefined) return `has ${shown(repeated)} twice`;
      const wrong = items.find((item) => config.values?.includes(item) === false);
      return wrong === undefined ? undefined : `cannot have ${shown(wrong)}`;
    }
    default:
      return choiceProblem(config, value);
  }
}

function wholeNumberProblem(config: TopicConfigDefinition, value: string): string | undefined {
  if (!/^[+-]?\d{1,19}$/.test(value)) return `must be a whole number, not ${shown(value)}`;
  const most = config.type === "int" ? INT_MAX : LONG_MAX;
  const { min = -most - 1n, max = most } = config;
  // Comparing a bigint with a number is exact; Long.MAX_VALUE + 1 would round to Long.MAX_VALUE.
  const number = BigInt(value.replace(/^\+/, ""));
  return number < min || number > max ? `must be from ${min} to ${max}, not ${shown(value)}` : undefined;
}

function choiceProblem({ values }: TopicConfigDefinition, value: string): string | undefined {
  if (values === undefined || values.includes(value)) return undefined;
  const choices = values.filter((choice) => choice !== "");
  const wanted = choices.length === 1 ? `${choices[0]}` : `one of ${choices.join(", ")}`;
  return `must be ${wanted}, not ${shown(value)}`;
}

/** As Kafka splits a list: by commas, spaces around an item do not count, an empty text is an empty list. */
function listItems(value: string): string[] {
  return value.trim() === "" ? [] : value.split(",").map((item) => item.trim());
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, SHOWN_CHARACTERS_MAX));
}

function configText(overrides: TopicConfigOverrides, name: string): string {
  return (overrides[name] ?? topicConfigDefinition(name)?.default ?? "").trim();
}

/** What a partition works by: every config in effect, in its own type and unit. Unlimited is Infinity. */
export interface TopicConfigs {
  readonly fileDeleteDelayMs: number;
  readonly indexIntervalBytes: number;
  /** undefined: left to the partition (`-2`). */
  readonly localRetentionBytes: number | undefined;
  readonly localRetentionMs: number | undefined;
  readonly localDropDelayMs: number;
  readonly maxMessageBytes: number;
  readonly messageTimestampType: "CreateTime" | "LogAppendTime";
  readonly messageTimestampBeforeMaxMs: number;
  readonly messageTimestampAfterMaxMs: number;
  readonly remoteStorageEnable: boolean;
  readonly remoteLogCopyDisable: boolean;
  readonly retentionBytes: number;
  readonly retentionMs: number;
  /** Effective: at most SEGMENT_BYTES_MAX. */
  readonly segmentBytes: number;
  readonly segmentMs: number;
}

export function topicConfigs(overrides: TopicConfigOverrides): TopicConfigs {
  const text = (name: string) => configText(overrides, name);
  // Without `delete` in its policy a log keeps everything (KIP-1161).
  const deletes = listItems(text("cleanup.policy")).includes("delete");
  const number = (name: string) =>
    text(name) === LONG_MAX_TEXT ? Number.POSITIVE_INFINITY : Number(text(name));
  const unlimited = (name: string) => (number(name) < 0 ? Number.POSITIVE_INFINITY : number(name));
  const local = (name: string) => (number(name) === -2 ? undefined : unlimited(name));
  const flag = (name: string) => text(name).toLowerCase() === "true";
  return {
    fileDeleteDelayMs: number("file.delete.delay.ms"),
    indexIntervalBytes: number("index.interval.bytes"),
    localRetentionBytes: local("local.retention.bytes"),
    localRetentionMs: local("local.retention.ms"),
    localDropDelayMs: number("edgelog.local.drop.delay.ms"),
    maxMessageBytes: number("max.message.bytes"),
    messageTimestampType: text("message.timestamp.type") === "LogAppendTime" ? "LogAppendTime" : "CreateTime",
    messageTimestampBeforeMaxMs: number("message.timestamp.before.max.ms"),
    messageTimestampAfterMaxMs: number("message.timestamp.after.max.ms"),
    remoteStorageEnable: flag("remote.storage.enable"),
    remoteLogCopyDisable: flag("remote.log.copy.disable"),
    retentionBytes: deletes ? unlimited("retention.bytes") : Number.POSITIVE_INFINITY,
    retentionMs: deletes ? unlimited("retention.ms") : Number.POSITIVE_INFINITY,
    segmentBytes: Math.min(number("segment.bytes"), SEGMENT_BYTES_MAX),
    segmentMs: number("segment.ms"),
  };
}
