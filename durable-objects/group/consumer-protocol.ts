/** What consumers of the classic protocol say to one another through the coordinator, which only has to read it. */

import { decodeMessage } from "../../src/kafka/codec.ts";
import { consumerSubscription } from "../../src/kafka/messages/consumer-protocol.ts";

/** The protocol type of consumers: of others the coordinator understands nothing. */
export const CONSUMER_PROTOCOL_TYPE = "consumer";

const VERSION_BYTES = 2;

/** The topics in a ConsumerProtocolSubscription, or undefined if it is none. Version 0 begins every version. */
export function subscribedTopics(metadata: Uint8Array): readonly string[] | undefined {
  try {
    return decodeMessage(consumerSubscription, 0, metadata.subarray(VERSION_BYTES)).topics;
  } catch {
    return undefined;
  }
}
