/** How the Worker reaches a partition's leader for a subscription. */

import type { Cluster } from "../cluster/cluster.ts";
import { stubFailure } from "../cluster/stub-errors.ts";
import { type Failure, failure, isErrorName, isFailure } from "../model/errors.ts";
import type { Topic } from "../model/topic.ts";
import {
  type LeaderSubscription,
  leaderSubscribeRequest,
  REMOTE_START_STATUS,
  RESUME_OFFSET_HEADER,
} from "./leader-request.ts";
import { parseDigits } from "./position.ts";
import type { Subprotocol } from "./protocol.ts";

export type LeaderAnswer =
  /** The upgrade, as it came from the leader. */
  | { readonly kind: "socket"; readonly response: Response; readonly webSocket: WebSocket }
  /** The start is not local: read R2 from this offset on. */
  | { readonly kind: "remote"; readonly offset: number };

/** Asks the leader for a socket; once more if the first answer shows that the leader is elsewhere or was restarted. */
export async function connectToLeader(
  cluster: Cluster,
  topicId: Pick<Topic, "id">,
  subscription: LeaderSubscription,
  subprotocol?: Subprotocol,
): Promise<LeaderAnswer | Failure> {
  const first = await tryConnect(cluster, topicId, subscription, subprotocol);
  if (!isFailure(first) || !MAY_BE_STALE.has(first.error)) return first;
  cluster.forget(topicId);
  return tryConnect(cluster, topicId, subscription, subprotocol);
}

const MAY_BE_STALE = new Set(["UNKNOWN_TOPIC_ID", "NOT_LEADER_OR_FOLLOWER", "KAFKA_STORAGE_ERROR"]);

async function tryConnect(
  cluster: Cluster,
  topicId: Pick<Topic, "id">,
  subscription: LeaderSubscription,
  subprotocol?: Subprotocol,
): Promise<LeaderAnswer | Failure> {
  const topic = await cluster.topic(topicId);
  if (isFailure(topic)) return topic;
  const { partition } = subscription;
  const leader = cluster.partition(topic, partition);
  try {
    const response = await leader.fetch(leaderSubscribeRequest(subscription, topic.version, subprotocol));
    if (response.webSocket !== null) return { kind: "socket", response, webSocket: response.webSocket };
    const offset = parseDigits(response.headers.get(RESUME_OFFSET_HEADER) ?? "");
    if (response.status === REMOTE_START_STATUS && offset !== undefined) return { kind: "remote", offset };
    return await refusalOf(response);
  } catch (error) {
    cluster.dropPartition(topic, partition, leader);
    return stubFailure(error, `the leader of ${topic.name}-${partition}`);
  }
}

async function refusalOf(response: Response): Promise<Failure> {
  const body: unknown = await response.json();
  if (typeof body === "object" && body !== null && "error" in body) {
    const { error } = body;
    if (typeof error === "object" && error !== null && "code" in error && "message" in error) {
      if (isErrorName(error.code)) return failure(error.code, String(error.message));
    }
  }
  return failure("UNKNOWN_SERVER_ERROR");
}
