import { type Failure, failure } from "../../../src/model/errors.ts";
import { GROUP_REBALANCE_TIMEOUT_MS_MAX, GROUP_SUBSCRIBED_TOPICS_MAX } from "../../../src/model/limits.ts";
import { textsProblem } from "../requests.ts";
import { type ConsumerGroupHeartbeatRequest, JOIN_EPOCH, LEAVE_STATIC_EPOCH } from "../rpc.ts";
import { ASSIGNORS } from "./assignors.ts";

/** What makes a ConsumerGroupHeartbeat impossible, whatever the group: INVALID_REQUEST, UNSUPPORTED_ASSIGNOR. */
export function heartbeatProblem(request: ConsumerGroupHeartbeatRequest): Failure | undefined {
  const { memberId, memberEpoch, instanceId, rackId, serverAssignor } = request;
  const invalid = (message: string) => failure("INVALID_REQUEST", message);
  if (instanceId === "") return invalid("the instance id is empty");
  if (rackId === "") return invalid("the rack id is empty");
  if (!Number.isInteger(memberEpoch) || memberEpoch < LEAVE_STATIC_EPOCH) {
    return invalid(`${memberEpoch} is no member epoch`);
  }
  if (memberEpoch !== JOIN_EPOCH && memberId === "") return invalid("the member id is empty");
  if (memberEpoch === LEAVE_STATIC_EPOCH && instanceId === null) {
    return invalid("only a static member leaves for a while, and this has no instance id");
  }
  if (memberEpoch === JOIN_EPOCH) {
    const problem = joinProblem(request);
    if (problem !== undefined) return invalid(problem);
  }
  const { subscribedTopicNames, rebalanceTimeoutMs } = request;
  if (subscribedTopicNames !== null && subscribedTopicNames.length > GROUP_SUBSCRIBED_TOPICS_MAX) {
    return invalid(
      `${subscribedTopicNames.length} topics are subscribed to by name; at most ${GROUP_SUBSCRIBED_TOPICS_MAX} can be, or any number by a regular expression`,
    );
  }
  if (!(rebalanceTimeoutMs <= GROUP_REBALANCE_TIMEOUT_MS_MAX)) {
    return invalid(
      `the rebalance timeout is ${rebalanceTimeoutMs} ms; it must be at most ${GROUP_REBALANCE_TIMEOUT_MS_MAX}`,
    );
  }
  if (serverAssignor !== null && !ASSIGNORS.has(serverAssignor)) {
    return failure(
      "UNSUPPORTED_ASSIGNOR",
      `there is no assignor ${JSON.stringify(serverAssignor.slice(0, 100))}; there are ${[...ASSIGNORS.keys()].join(", ")}`,
    );
  }
  const { clientId, clientHost } = request;
  return textsProblem(memberId, instanceId, rackId, clientId, clientHost, ...(subscribedTopicNames ?? []));
}

/** Who joins says everything. */
function joinProblem(request: ConsumerGroupHeartbeatRequest): string | undefined {
  const { rebalanceTimeoutMs, topicPartitions, subscribedTopicNames, subscribedTopicRegex } = request;
  if (rebalanceTimeoutMs < 0) return "who joins must say its rebalance timeout";
  if (topicPartitions === null || topicPartitions.length > 0) {
    return "who joins must say that it has no partitions";
  }
  // A client that matches a pattern itself joins before there is any topic that matches.
  const hasSubscription = subscribedTopicNames !== null || subscribedTopicRegex !== null;
  return hasSubscription ? undefined : "who joins must say what it subscribes to";
}
