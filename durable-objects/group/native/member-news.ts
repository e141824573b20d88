/** What a member with a WebSocket is told when something has become different for it. */

import { GROUP_PARTITIONS_PER_MESSAGE_MAX, GROUP_SOCKET_PING_MS } from "../../../src/model/limits.ts";
import type {
  AssignedMessage,
  CoordinatorMessage,
  PartitionMessage,
} from "../../../src/subscribe/group-protocol.ts";
import { type Assignment, filter, isNothing, membership, NOTHING } from "../consumer/assignment.ts";
import type { ConsumerGroup } from "../consumer/consumer-group.ts";
import type { ConsumerMember } from "../consumer/consumer-member.ts";
import type { CommittedOffset } from "../rpc.ts";
import type { Connection } from "./connection.ts";

/** What the news need of the coordinator. */
export interface NewsSource {
  readonly socketGraceMs: number;
  committed(assignment: Assignment): CommittedOffset[];
}

/** Of the member as it is now, where it was told last as `connection.told` is; nothing where that is the same to it. */
export function newsFor(
  group: ConsumerGroup,
  connection: Connection,
  member: ConsumerMember,
  source: NewsSource,
): CoordinatorMessage[] {
  const { told } = connection;
  const assigned = without(member.assigned, told?.assigned ?? NOTHING);
  const revoking = without(member.revoking, told?.revoking ?? NOTHING);
  const news = told === undefined ? [joined(group, connection, member, source)] : [];
  if (told !== undefined && isNothing(assigned) && isNothing(revoking)) return news;
  return [...news, ...assignmentMessages(group, { epoch: member.epoch, assigned, revoking }, source)];
}

function joined(
  group: ConsumerGroup,
  connection: Connection,
  member: ConsumerMember,
  { socketGraceMs }: NewsSource,
): CoordinatorMessage {
  const { topics } = group.membership.record;
  return {
    type: "joined",
    member_id: member.memberId,
    member_epoch: member.epoch,
    resumed: connection.resumes,
    topics: Object.fromEntries(
      connection.topics.map((name) => [
        name,
        (Object.hasOwn(topics, name) ? topics[name] : undefined)?.partitions ?? 0,
      ]),
    ),
    ping_interval_ms: GROUP_SOCKET_PING_MS,
    grace_ms: socketGraceMs,
  };
}

/** At least one; each of a size that a member takes. */
function assignmentMessages(
  group: ConsumerGroup,
  { epoch, assigned, revoking }: { epoch: number; assigned: Assignment; revoking: Assignment },
  { committed }: NewsSource,
): CoordinatorMessage[] {
  const names = group.membership.topicNames();
  const offsets = new Map(committed(assigned).map((one) => [`${one.topicId}/${one.partition}`, one]));
  const toAssign = listed(assigned, names).map((partition): AssignedMessage => {
    const known = offsets.get(`${partition.topic_id}/${partition.partition}`);
    const { offset = null, leaderEpoch: leader_epoch = -1, metadata = "" } = known ?? {};
    return { ...partition, offset, leader_epoch, metadata };
  });
  const toRevoke = listed(revoking, names);
  const messages: CoordinatorMessage[] = [];
  do {
    const revoke = toRevoke.splice(0, GROUP_PARTITIONS_PER_MESSAGE_MAX);
    const some = toAssign.splice(0, GROUP_PARTITIONS_PER_MESSAGE_MAX - revoke.length);
    const more = toRevoke.length + toAssign.length > 0;
    messages.push({ type: "assignment", member_epoch: epoch, assigned: some, revoke, more });
  } while (toRevoke.length + toAssign.length > 0);
  return messages;
}

/** What the one has and the other has not. */
function without(one: Assignment, other: Assignment): Assignment {
  if (one === other || isNothing(one)) return NOTHING;
  const has = membership(other);
  return filter(one, (topicId, partition) => !has(topicId, partition));
}

/** A topic that has been deleted has no name any more. */
function listed(assignment: Assignment, names: ReadonlyMap<string, string>): PartitionMessage[] {
  return Object.entries(assignment).flatMap(([topic_id, partitions]) =>
    partitions.map((partition) => ({ topic: names.get(topic_id) ?? "", topic_id, partition })),
  );
}
