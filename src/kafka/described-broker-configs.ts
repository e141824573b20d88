import type { Env } from "../env.ts";
import { OFFSETS_RETENTION_MINUTES_DEFAULT } from "../model/limits.ts";
import { topicConfigDefinition } from "../model/topic-config-table.ts";
import type { ConfigSource, DescribedConfig } from "./described-configs.ts";

/** What tools look for among a broker's configs, and what is true of it here. */
export function describedBrokerConfigs(env: Env): DescribedConfig[] {
  return [
    variable("auto.create.topics.enable", env.EDGELOG_AUTO_CREATE_TOPICS, "false", "boolean"),
    variable("num.partitions", env.EDGELOG_NUM_PARTITIONS, "1", "int"),
    variable("default.replication.factor", undefined, "1", "int"),
    variable("delete.topic.enable", undefined, "true", "boolean"),
    variable(
      "offsets.retention.minutes",
      env.EDGELOG_OFFSETS_RETENTION_MINUTES,
      String(OFFSETS_RETENTION_MINUTES_DEFAULT),
      "int",
    ),
    ofTopics("log.cleanup.policy", "cleanup.policy"),
    ofTopics("log.retention.bytes", "retention.bytes"),
    ofTopics("log.retention.ms", "retention.ms"),
    ofTopics("log.segment.bytes", "segment.bytes"),
    ofTopics("message.max.bytes", "max.message.bytes"),
    ofTopics("min.insync.replicas", "min.insync.replicas"),
  ];
}

/** A config that a variable of the Worker sets. */
export function variable(
  name: string,
  value: string | undefined,
  defaultValue: string,
  type: DescribedConfig["type"],
): DescribedConfig {
  const source: ConfigSource = value === undefined ? "default" : "static";
  const documentation = "A variable of the Worker: see wrangler.toml.";
  return { name, value: value ?? defaultValue, source, defaultValue, type, documentation };
}

/** The broker's name for what topics have by default. */
function ofTopics(name: string, topicConfig: string): DescribedConfig {
  const {
    type = "string",
    default: value = "",
    documentation = "",
  } = topicConfigDefinition(topicConfig) ?? {};
  return { name, value, source: "default", defaultValue: value, type, documentation };
}
