import type {
  CommitOffsetsRequest,
  JoinedGroup,
  JoinGroupRequest,
  JoinGroupResult,
  OffsetToCommit,
} from "../../durable-objects/group/rpc.ts";
import { ok } from "../cluster/results.ts";
import { subscriptionBytes } from "./consumer-protocol.ts";
import type { GroupWorld } from "./group-world.ts";

export const TOPIC = "topic";
export const TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA";

export function joinRequest(request: Partial<JoinGroupRequest> = {}): JoinGroupRequest {
  return {
    memberId: "",
    instanceId: null,
    clientId: "client",
    clientHost: "/127.0.0.1",
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: subscriptionBytes([TOPIC]) }],
    requiresKnownMemberId: true,
    canSkipAssignment: true,
    ...request,
  };
}

export function commitRequest(
  request: Partial<CommitOffsetsRequest>,
  ...offsets: Partial<OffsetToCommit>[]
): CommitOffsetsRequest {
  return {
    memberId: "",
    instanceId: null,
    generation: -1,
    knowsMemberEpochs: true,
    offsets: offsets.map((offset) => ({
      topicId: TOPIC_ID,
      topic: TOPIC,
      partition: 0,
      offset: 0,
      leaderEpoch: -1,
      metadata: "",
      ...offset,
    })),
    ...request,
  };
}

/** A member id, as a client of today gets it. */
export async function newMemberId(
  world: GroupWorld,
  request: Partial<JoinGroupRequest> = {},
): Promise<string> {
  const refused = await world.ask((group) => group.joinGroup(joinRequest(request)));
  if (!("error" in refused) || refused.error !== "MEMBER_ID_REQUIRED") {
    throw new Error(`no member id was given: ${JSON.stringify(refused)}`);
  }
  return refused.memberId;
}

/** A JoinGroup with a member id of its own, which may be parked. */
export async function joining(
  world: GroupWorld,
  request: Partial<JoinGroupRequest> = {},
): Promise<{ memberId: string; joined: Promise<JoinGroupResult> }> {
  const memberId = await newMemberId(world, request);
  const joined = world.call((group) => group.joinGroup(joinRequest({ ...request, memberId })));
  await world.settle();
  return { memberId, joined };
}

/** A group of one, which is stable. */
export async function alone(
  world: GroupWorld,
  request: Partial<JoinGroupRequest> = {},
  assignment: Uint8Array = new Uint8Array([1]),
): Promise<JoinedGroup> {
  const { joined } = await joining(world, request);
  const member = ok(await joined);
  await assign(world, member, [[member.memberId, assignment]]);
  return member;
}

/** The leader's SyncGroup. */
export async function assign(
  world: GroupWorld,
  leader: JoinedGroup,
  assignments: readonly (readonly [string, Uint8Array])[],
) {
  const synced = world.call((group) => group.syncGroup(syncRequest(leader, assignments)));
  await world.settle();
  return ok(await synced);
}

export function syncRequest(
  { memberId, generation }: JoinedGroup,
  assignments: readonly (readonly [string, Uint8Array])[] = [],
) {
  return {
    memberId,
    instanceId: null,
    generation,
    protocolType: null,
    protocolName: null,
    assignments: assignments.map(([memberId, assignment]) => ({ memberId, assignment })),
  };
}

export function heartbeat(world: GroupWorld, { memberId, generation }: JoinedGroup) {
  return world.ask((group) => group.heartbeat({ memberId, instanceId: null, generation }));
}
