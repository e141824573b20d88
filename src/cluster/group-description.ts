/** A group with its members, and how far each of its partitions lags: what it has committed and what is assigned, as one list. */

import type {
  CommittedOffset,
  GroupDescription,
  NamedPartitions,
  OffsetsPage,
  PartitionOfTopic,
} from "../../durable-objects/group/rpc.ts";
import { type Failure, isFailure } from "../model/errors.ts";
import type { Cluster } from "./cluster.ts";
import type { GroupClient } from "./group-client.ts";
import { type Lag, lags } from "./lag.ts";

export interface DescribedMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** KIP-848; null: the member speaks the classic protocol. */
  readonly memberEpoch: number | null;
  readonly assignment: readonly NamedPartitions[];
  /** What the member is being moved towards (KIP-848); null: nothing but its assignment. */
  readonly targetAssignment: readonly NamedPartitions[] | null;
}

export interface DescribedPartition extends PartitionOfTopic {
  /** null: assigned, and nothing committed yet. */
  readonly committed: CommittedOffset | null;
  /** The member that it is assigned to. */
  readonly memberId: string | null;
  /** A Failure where the partition's leader could not be asked. */
  readonly lag: Lag | Failure;
}

export interface DescribedGroup {
  readonly group: GroupDescription;
  readonly members: readonly DescribedMember[];
  /** By topic name and partition. */
  readonly partitions: readonly DescribedPartition[];
  /** `after` of the next page; null on the last one. */
  readonly next: PartitionOfTopic | null;
}

export interface DescribeGroupOptions {
  /** Only partitions that sort after it. */
  readonly after?: PartitionOfTopic;
  /** Of partitions, at most GROUP_DESCRIBED_PARTITIONS_MAX; 0: none, so that no leader is asked. */
  readonly limit: number;
}

/** GROUP_ID_NOT_FOUND */
export async function describeGroup(
  cluster: Cluster,
  coordinator: GroupClient,
  { after, limit }: DescribeGroupOptions,
): Promise<DescribedGroup | Failure> {
  const page = limit === 0 ? NO_PAGE : await coordinator.offsetsPage({ limit, ...(after && { after }) });
  if (isFailure(page)) return page;
  const group = await coordinator.describe();
  if (isFailure(group)) return group;
  const members = group.type === "classic" ? classicMembers(group) : consumerMembers(group);
  if (limit === 0) return { group, members, partitions: [], next: null };
  const listed = merged(page, assignedAfter(after, members));
  const shown = listed.slice(0, limit);
  const found = await lags(
    cluster,
    shown.map(({ topic, partition, committed }) => ({
      topic: committed === null ? topic : { id: committed.topicId },
      partition,
      offset: committed?.offset ?? null,
    })),
  );
  const partitions = shown.flatMap((partition, index) => {
    const lag = found[index];
    // Deleted since the coordinator has looked.
    const isGone = lag === undefined || (isFailure(lag) && GONE.has(lag.error));
    return isGone ? [] : { ...partition, lag };
  });
  const hasMore = listed.length > limit || !page.isLast;
  return { group, members, partitions, next: (hasMore && shown.at(-1)) || null };
}

const NO_PAGE: Pick<OffsetsPage, "offsets" | "isLast"> = { offsets: [], isLast: true };
const GONE: ReadonlySet<string> = new Set(["UNKNOWN_TOPIC_ID", "UNKNOWN_TOPIC_OR_PARTITION"]);

type ListedPartition = Omit<DescribedPartition, "lag">;
type Assigned = PartitionOfTopic & { readonly memberId: string };

function classicMembers({
  members,
}: Extract<GroupDescription, { readonly type: "classic" }>): DescribedMember[] {
  return members.map(({ memberId, instanceId, clientId, clientHost, partitions }) => ({
    ...{ memberId, instanceId, clientId, clientHost },
    memberEpoch: null,
    assignment: partitions,
    targetAssignment: null,
  }));
}

function consumerMembers({
  members,
}: Extract<GroupDescription, { readonly type: "consumer" }>): DescribedMember[] {
  return members.map((member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    memberEpoch: member.memberEpoch,
    assignment: member.assignment,
    targetAssignment: member.targetAssignment,
  }));
}

/** Sorted. */
function assignedAfter(
  after: PartitionOfTopic | undefined,
  members: readonly DescribedMember[],
): readonly Assigned[] {
  return members
    .flatMap(({ memberId, assignment }) =>
      assignment.flatMap(({ topic, partitions }) =>
        partitions.map((partition) => ({ topic, partition, memberId })),
      ),
    )
    .filter((assigned) => after === undefined || compare(assigned, after) > 0)
    .sort(compare);
}

/** Both in one order. What lies beyond a page of committed offsets that is not the last belongs to the next page. */
function merged(
  page: Pick<OffsetsPage, "offsets" | "isLast">,
  assigned: readonly Assigned[],
): ListedPartition[] {
  const last = page.isLast ? undefined : page.offsets.at(-1);
  const owners = new Map(assigned.map((one) => [keyOf(one), one]));
  const listed: ListedPartition[] = page.offsets.map((committed) => {
    const { topic, partition } = committed;
    const memberId = owners.get(keyOf(committed))?.memberId ?? null;
    owners.delete(keyOf(committed));
    return { topic, partition, committed, memberId };
  });
  for (const { topic, partition, memberId } of owners.values()) {
    if (last !== undefined && compare({ topic, partition }, last) > 0) continue;
    listed.push({ topic, partition, committed: null, memberId });
  }
  return listed.sort(compare);
}

function keyOf({ topic, partition }: PartitionOfTopic): string {
  return `${topic}/${partition}`;
}

function compare(a: PartitionOfTopic, b: PartitionOfTopic): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition;
}
