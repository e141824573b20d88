/**
 * A group goes over from the classic protocol to KIP-848 and back while it runs (Kafka's `group.consumer.migration.policy`,
 * bidirectional): up when the first member of KIP-848 joins, down when the last of them has gone.
 */

import { type Failure, failure, isFailure } from "../../../src/model/errors.ts";
import { namePattern } from "../../../src/model/name-pattern.ts";
import { ClassicGroup } from "../classic/classic-group.ts";
import type { ClassicMember } from "../classic/classic-member.ts";
import {
  CONSUMER_PROTOCOL_TYPE,
  readConsumerAssignment,
  readSubscription,
  type Subscription,
  writeConsumerAssignment,
} from "../consumer-protocol.ts";
import type { NamedPartitions } from "../rpc.ts";
import type { GroupContext } from "../settings.ts";
import { type Assignment, assignmentOf, filter, union } from "./assignment.ts";
import { isClassic } from "./classic-face.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import { newConsumerMember } from "./consumer-member.ts";
import { groupTopics } from "./group-topics.ts";
import type { NewSubscription } from "./membership.ts";
import type { Subscriptions, TopicSnapshot } from "./topic-directory.ts";

interface ReadableMember {
  readonly member: ClassicMember;
  readonly subscription: Subscription;
  readonly assigned: readonly NamedPartitions[];
}

export interface Upgrade {
  readonly members: readonly ReadableMember[];
  /** What must be known of topics. */
  readonly needs: Subscriptions;
}

/** GROUP_ID_NOT_FOUND unless all members are consumers whose subscriptions and assignments can be read. */
export function planUpgrade(group: ClassicGroup, joining: NewSubscription): Upgrade | Failure {
  if (group.record.protocolType !== CONSUMER_PROTOCOL_TYPE) return failure("GROUP_ID_NOT_FOUND");
  const members: ReadableMember[] = [];
  for (const member of group.members()) {
    const subscription = readSubscription(member.protocols[0]?.metadata ?? new Uint8Array());
    const assigned = readConsumerAssignment(member.assignment);
    if (subscription === undefined || assigned === undefined) return failure("GROUP_ID_NOT_FOUND");
    members.push({ member, subscription, assigned });
  }
  const names = new Set([...(joining.subscribedTopicNames ?? []), ...topicNamesOf(members)]);
  const regex = joining.subscribedTopicRegex ?? "";
  const pattern = namePattern(regex);
  if (isFailure(pattern)) return pattern;
  return { members, needs: { names, patterns: new Map(regex === "" ? [] : [[regex, pattern]]) } };
}

/** What members were assigned last is what they have; they are told to join again when they are to give up some of it. */
export function upgraded(
  context: GroupContext,
  group: ClassicGroup,
  members: readonly ReadableMember[],
  topics: TopicSnapshot,
): ConsumerGroup {
  const { generation } = group;
  group.dissolve();
  const consumers = ConsumerGroup.create(context, generation);
  const { membership } = consumers;
  // Whoever brought this about may be refused yet: the group then goes back, and must be able to name what its members have.
  membership.change({ topics: groupTopics(topicNamesOf(members), topics) });
  for (const { member, subscription, assigned: named } of members) {
    const { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs } = member;
    // An assignment that its leader got wrong gives a partition to the first who claims it.
    const assigned = filter(
      idsIn(named, topics),
      (topicId, partition) => membership.ownerOf(topicId, partition) === undefined,
    );
    const consumer = {
      ...newConsumerMember(memberId),
      instanceId,
      clientId,
      clientHost,
      rackId: subscription.rackId,
      epoch: generation,
      previousEpoch: generation,
      rebalanceTimeoutMs,
      topicNames: [...new Set(subscription.topics)].sort(),
      assigned,
      target: assigned,
      classic: { sessionTimeoutMs: member.sessionTimeoutMs, protocols: member.protocols },
    };
    membership.put(consumer);
    membership.heard(consumer);
  }
  return consumers;
}

/** The members keep what they have or may still have, whatever they were to have, and begin to assign it among themselves. */
export function downgraded(context: GroupContext, group: ConsumerGroup): ClassicGroup {
  const { membership } = group;
  const members = [...membership.values()].filter(isClassic).map((member): ClassicMember => {
    const { memberId, instanceId, clientId, clientHost, rebalanceTimeoutMs, classic } = member;
    const { version } = readSubscription(classic.protocols[0]?.metadata ?? new Uint8Array()) ?? {
      version: 0,
    };
    return {
      memberId,
      instanceId,
      clientId,
      clientHost,
      sessionTimeoutMs: classic.sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocols: classic.protocols,
      assignment: writeConsumerAssignment(
        version,
        group.classic.named(union(member.assigned, member.revoking)),
      ),
    };
  });
  for (const member of [...membership.values()]) group.classic.forget(member);
  membership.flush();
  return ClassicGroup.takingOver(context, membership.record.groupEpoch, members);
}

/** What they are subscribed to, and what they have. */
function topicNamesOf(members: readonly ReadableMember[]): string[] {
  return members.flatMap(({ subscription, assigned }) => [
    ...subscription.topics,
    ...assigned.map(({ topic }) => topic),
  ]);
}

function idsIn(named: readonly NamedPartitions[], topics: TopicSnapshot): Assignment {
  return assignmentOf(
    named.flatMap(({ topic, partitions }) => {
      const known = topics.find(topic);
      if (known === undefined) return [];
      return {
        topicId: known.topicId,
        partitions: partitions.filter((partition) => partition >= 0 && partition < known.partitions),
      };
    }),
  );
}
