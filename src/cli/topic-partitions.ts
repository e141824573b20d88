import { InvalidArgumentError } from "commander";

export interface NamedPartitions {
  readonly topic: string;
  /** null: all. */
  readonly partitions: readonly number[] | null;
}

/** Of kafka-consumer-groups: `orders`, `orders:0`, `orders:0,3`. */
export function topicAndPartitions(text: string): NamedPartitions {
  const [, topic, list] = /^([^:]+)(?::(\d{1,9}(?:,\d{1,9})*))?$/.exec(text) ?? [];
  if (topic === undefined) {
    throw new InvalidArgumentError("Give a topic (orders), or one and its partitions (orders:0,3).");
  }
  return { topic, partitions: list === undefined ? null : list.split(",").map(Number) };
}
