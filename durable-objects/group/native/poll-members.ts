/**
 * Members that hold nothing open: each poll is the heartbeat of a member of KIP-848, and says what that would say. A poll that
 * tells a member to give partitions up is acknowledged by the next one, so that it can commit in between.
 */

import { type Failure, failure, isFailure } from "../../../src/model/errors.ts";
import type { Assignment } from "../consumer/assignment.ts";
import { isNothing, membership, topicPartitionsOf } from "../consumer/assignment.ts";
import type { ConsumerGroup } from "../consumer/consumer-group.ts";
import type { ConsumerMember, NativeTraits } from "../consumer/consumer-member.ts";
import { unknownMember } from "../consumer/consumer-member.ts";
import {
  type CommittedOffset,
  type ConsumerGroupHeartbeatAnswer,
  type ConsumerGroupHeartbeatRequest,
  type DeliveredPoll,
  JOIN_EPOCH,
  type PollAnswer,
  type PolledPartition,
  type PollRequest,
} from "../rpc.ts";
import { PollPositions } from "./poll-positions.ts";

/** A member may move on while its poll waits for the Controller: then the poll is made anew. */
const TRIES = 3;

/** What these members need of the coordinator. */
export interface PollMembersContext {
  newId(): string;
  /** The group as it is now, if its partitions are assigned here. */
  group(): ConsumerGroup | undefined;
  /** A heartbeat of such a member; `done` in the turn in which it has been heard. */
  heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    native: NativeTraits,
    done: (answer: ConsumerGroupHeartbeatAnswer) => void,
  ): Promise<ConsumerGroupHeartbeatAnswer | Failure>;
  committed(assignment: Assignment): CommittedOffset[];
}

export class PollMembers {
  readonly #context: PollMembersContext;
  readonly #positions = new PollPositions();

  constructor(context: PollMembersContext) {
    this.#context = context;
  }

  async poll(request: PollRequest): Promise<PollAnswer | Failure> {
    const native = { type: "poll", sessionTimeoutMs: request.sessionTimeoutMs } as const;
    for (let tries = 1; ; tries++) {
      const member = this.#member(request.memberId);
      if (member === undefined) this.#positions.forget(request.memberId);
      let answer: PollAnswer | undefined;
      const beat = await this.#context.heartbeat(heartbeatOf(request, member), native, ({ memberId }) => {
        answer = this.#answer(memberId, request);
      });
      if (answer !== undefined) return answer;
      if (!isFailure(beat)) return failure("COORDINATOR_NOT_AVAILABLE");
      const hasMovedOn = beat.error === "FENCED_MEMBER_EPOCH" || beat.error === "UNKNOWN_MEMBER_ID";
      if (!hasMovedOn || tries === TRIES) return beat;
    }
  }

  /** Its answer is about to be sent; UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH: it must not be. */
  delivered({ memberId, memberEpoch, pollId, positions }: DeliveredPoll): Failure | null {
    const member = this.#member(memberId);
    if (member === undefined) return unknownMember(memberId, null);
    if (member.epoch !== memberEpoch) {
      return failure("STALE_MEMBER_EPOCH", "the member has polled elsewhere meanwhile: one poll at a time");
    }
    this.#positions.delivered(memberId, pollId, positions);
    this.#context.group()?.membership.heard(member);
    return null;
  }

  #member(memberId: string): ConsumerMember | undefined {
    const member = this.#context.group()?.membership.get(memberId);
    return member?.native?.type === "poll" ? member : undefined;
  }

  /** In the turn of the heartbeat. */
  #answer(memberId: string, { received, waitMs, subscribedTopicNames }: PollRequest): PollAnswer | undefined {
    const members = this.#context.group()?.membership;
    const member = members?.get(memberId);
    if (members === undefined || member === undefined) return undefined;
    members.heard(member, members.sessionTimeoutMs(member) + waitMs);
    if (this.#positions.size > members.size)
      this.#positions.prune((known) => members.get(known) !== undefined);
    const pollId = this.#context.newId();
    const has = membership(member.assigned);
    this.#positions.begin(memberId, pollId, received, (key) => {
      const [topicId = "", partition = ""] = key.split("/");
      return has(topicId, Number(partition));
    });
    const names = members.topicNames();
    const offsets = new Map(
      this.#context
        .committed(member.assigned)
        .map(({ topicId, partition, offset }) => [`${topicId}/${partition}`, offset]),
    );
    const assigned = topicPartitionsOf(member.assigned).flatMap(({ topicId, partitions }) =>
      partitions.map((partition): PolledPartition => {
        const committed = offsets.get(`${topicId}/${partition}`) ?? null;
        const offset = this.#positions.position(memberId, pollId, topicId, partition) ?? committed;
        return { topicId, topic: names.get(topicId) ?? "", partition, offset };
      }),
    );
    const revoke = topicPartitionsOf(member.revoking).map(({ topicId, partitions }) => ({
      topicId,
      topic: names.get(topicId) ?? "",
      partitions,
    }));
    const { topics } = members.record;
    const missingTopics = subscribedTopicNames.filter((name) => !Object.hasOwn(topics, name));
    return { memberId, memberEpoch: member.epoch, pollId, assigned, revoke, missingTopics };
  }
}

function heartbeatOf(
  request: PollRequest,
  member: ConsumerMember | undefined,
): ConsumerGroupHeartbeatRequest {
  // It has had an answer that told it what to give up, or has asked again, and then it is its own fault.
  const hasGivenUp = member?.state === "unrevoked" && !isNothing(member.revoking);
  return {
    memberId: request.memberId,
    memberEpoch: member?.epoch ?? JOIN_EPOCH,
    instanceId: null,
    rackId: null,
    clientId: request.clientId,
    clientHost: request.clientHost,
    rebalanceTimeoutMs: request.sessionTimeoutMs + request.waitMs,
    subscribedTopicNames: request.subscribedTopicNames,
    subscribedTopicRegex: request.subscribedTopicRegex,
    serverAssignor: null,
    topicPartitions: member === undefined ? [] : hasGivenUp ? topicPartitionsOf(member.assigned) : null,
  };
}
