/** Topic configs as the admin APIs tell them. */

import type { Topic } from "../model/topic.ts";
import { TOPIC_CONFIGS, type TopicConfigType } from "../model/topic-config-table.ts";

export type ConfigSource = "topic" | "static" | "default";

/** Kafka's `DescribeConfigsResponse.ConfigSource`. */
export const CONFIG_SOURCE: Readonly<Record<ConfigSource, number>> = { topic: 1, static: 4, default: 5 };

/** Kafka's `DescribeConfigsResponse.ConfigType`. */
export const CONFIG_TYPE: Readonly<Record<TopicConfigType, number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
};

export interface DescribedConfig {
  readonly name: string;
  readonly value: string;
  readonly source: ConfigSource;
  readonly defaultValue: string;
  readonly type: TopicConfigType;
  readonly documentation: string;
}

/** All configs that a topic can have, with the values that are in force. */
export function describedTopicConfigs({ configs }: Pick<Topic, "configs">): DescribedConfig[] {
  return TOPIC_CONFIGS.map(({ name, type, documentation, default: defaultValue }) => {
    const value = configs[name];
    const source = value === undefined ? "default" : "topic";
    return { name, value: value ?? defaultValue, source, defaultValue, type, documentation };
  });
}
