/** What consumers of the classic protocol say to one another through the coordinator. */

import { decodeMessage, writeMessage } from "../../src/kafka/codec.ts";
import { consumerAssignment, consumerSubscription } from "../../src/kafka/messages/consumer-protocol.ts";
import { WireReader } from "../../src/kafka/wire-reader.ts";
import { WireWriter } from "../../src/kafka/wire-writer.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import type { NamedPartitions } from "./rpc.ts";

/** The protocol type of consumers: of others the coordinator understands nothing. */
export const CONSUMER_PROTOCOL_TYPE = "consumer";

const VERSION_BYTES = 2;
const LATEST_VERSION = 3;

export interface Subscription {
  readonly version: number;
  readonly topics: readonly string[];
  readonly ownedPartitions: readonly NamedPartitions[];
  readonly rackId: string | null;
}

/** A ConsumerProtocolSubscription, or undefined if it is none. */
export function readSubscription(metadata: Uint8Array): Subscription | undefined {
  return attempt(() => {
    const version = versionOf(metadata);
    const { topics, ownedPartitions, rackId } = decodeMessage(
      consumerSubscription,
      version,
      metadata.subarray(VERSION_BYTES),
    );
    return { version, topics, ownedPartitions, rackId };
  });
}

/** The topics in a ConsumerProtocolSubscription, or undefined if it is none. Version 0 begins every version. */
export function subscribedTopics(metadata: Uint8Array): readonly string[] | undefined {
  return attempt(() => decodeMessage(consumerSubscription, 0, metadata.subarray(VERSION_BYTES)).topics);
}

/** The partitions in a ConsumerProtocolAssignment, or undefined if it is none. No bytes: none were assigned. */
export function readConsumerAssignment(assignment: Uint8Array): readonly NamedPartitions[] | undefined {
  if (assignment.length === 0) return [];
  return attempt(
    () =>
      decodeMessage(consumerAssignment, versionOf(assignment), assignment.subarray(VERSION_BYTES))
        .assignedPartitions,
  );
}

/** `version`: that of the member's subscription. */
export function writeConsumerAssignment(version: number, partitions: readonly NamedPartitions[]): Uint8Array {
  const writer = new WireWriter();
  writer.int16(version);
  const assignedPartitions = partitions.map((assigned) => ({
    topic: assigned.topic,
    partitions: [...assigned.partitions],
  }));
  writeMessage(consumerAssignment, version, writer, { assignedPartitions, userData: null });
  return concatBytes(writer.finish());
}

/** A version that is not known yet is read as the latest that is. */
function versionOf(bytes: Uint8Array): number {
  return Math.min(new WireReader(bytes).int16(), LATEST_VERSION);
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
