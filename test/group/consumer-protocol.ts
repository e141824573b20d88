import { decodeMessage, writeMessage } from "../../src/kafka/codec.ts";
import { consumerAssignment, consumerSubscription } from "../../src/kafka/messages/consumer-protocol.ts";
import { WireWriter } from "../../src/kafka/wire-writer.ts";
import { concatBytes } from "../../src/model/bytes.ts";

/** As consumers write them: a version, and the message. */
export function subscriptionBytes(
  topics: readonly string[],
  owned: readonly { topic: string; partitions: number[] }[] = [],
  version = 1,
): Uint8Array {
  const writer = new WireWriter();
  writer.int16(version);
  const ownedPartitions = [...owned];
  writeMessage(consumerSubscription, version, writer, {
    topics: [...topics],
    userData: null,
    ownedPartitions,
    generationId: -1,
    rackId: null,
  });
  return concatBytes(writer.finish());
}

/** Of partitions of one topic. */
export function assignmentBytes(topic: string, partitions: number[], version = 1): Uint8Array {
  const writer = new WireWriter();
  writer.int16(version);
  writeMessage(consumerAssignment, version, writer, {
    assignedPartitions: [{ topic, partitions }],
    userData: null,
  });
  return concatBytes(writer.finish());
}

/** The partitions of one topic in an assignment. */
export function partitionsIn(assignment: Uint8Array, topic: string): number[] {
  if (assignment.length === 0) return [];
  const { assignedPartitions } = decodeMessage(consumerAssignment, 1, assignment.subarray(2));
  return assignedPartitions.flatMap((assigned) => (assigned.topic === topic ? assigned.partitions : []));
}
