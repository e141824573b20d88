import { type PartitionIdentity, partitionObjectName } from "./ids.ts";
import { JURISDICTIONS, type Jurisdiction, LOCATION_HINTS, type LocationHint } from "./locations.ts";
import { placementOf, type Topic } from "./topic.ts";
import type { TopicConfigOverrides } from "./topic-configs.ts";

/** Where a partition's leader is to be found. */
export interface PartitionAddress {
  /** The Durable Object's name. */
  readonly name: string;
  /** Another jurisdiction is another object, even under the same name. */
  readonly jurisdiction?: Jurisdiction;
  readonly locationHint?: LocationHint;
}

/** The address of the partition's present leader. */
export function partitionAddress(topic: Topic, partition: number): PartitionAddress {
  const identity = { topicId: topic.id, partition, placement: placementOf(topic, partition) };
  return placedPartitionAddress(identity, topic.configs);
}

/** The address of a partition's leader, present or past, of a topic with these configs. */
export function placedPartitionAddress(
  identity: PartitionIdentity,
  configs: TopicConfigOverrides,
): PartitionAddress {
  const jurisdiction = JURISDICTIONS.find((known) => known === configs["edgelog.jurisdiction"]?.trim());
  const locationHint = LOCATION_HINTS.find((known) => known === configs["edgelog.location"]?.trim());
  return {
    name: partitionObjectName(identity),
    ...(jurisdiction === undefined ? {} : { jurisdiction }),
    ...(locationHint === undefined ? {} : { locationHint }),
  };
}
