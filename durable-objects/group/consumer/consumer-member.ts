import { type Failure, failure } from "../../../src/model/errors.ts";
import { base64, bytesOf } from "../classic/classic-member.ts";
import type { GroupMember, MemberCodec } from "../members.ts";
import type { Caller, MemberProtocol } from "../rpc.ts";
import { type Assignment, NOTHING, readAssignment, writeAssignment } from "./assignment.ts";

/**
 * Where a member is on its way to its target.
 * - stable: it has what it was to have at its epoch;
 * - unrevoked: it has been told to give something up and has not said yet that it has;
 * - unreleased: it waits for partitions that others have not given up yet.
 */
export type ReconciliationState = "stable" | "unrevoked" | "unreleased";

export interface ConsumerMember extends GroupMember, Caller {
  readonly rackId: string | null;
  /** -2: a static member that has left for a while. */
  readonly epoch: number;
  /** A member whose last answer was lost still says this one. */
  readonly previousEpoch: number;
  readonly state: ReconciliationState;
  readonly rebalanceTimeoutMs: number;
  /** Sorted. */
  readonly topicNames: readonly string[];
  /** Empty: none. */
  readonly topicRegex: string;
  readonly assignor: string | null;
  /** What it has, and what it is to give up: nobody else gets any of these. */
  readonly assigned: Assignment;
  readonly revoking: Assignment;
  /** What it is to have. */
  readonly target: Assignment;
  /** Of a member that speaks the classic protocol. */
  readonly classic: ClassicTraits | null;
  /** Of a member that does not speak Kafka's protocol. */
  readonly native: NativeTraits | null;
}

export interface ClassicTraits {
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly MemberProtocol[];
}

/** How such a member is known to live: by its WebSocket, or by its polling over HTTP. */
export type NativeTraits =
  | { readonly type: "socket" }
  | { readonly type: "poll"; readonly sessionTimeoutMs: number };

export function newConsumerMember(memberId: string): ConsumerMember {
  return {
    memberId,
    instanceId: null,
    clientId: "",
    clientHost: "",
    rackId: null,
    epoch: 0,
    previousEpoch: 0,
    state: "stable",
    rebalanceTimeoutMs: 0,
    topicNames: [],
    topicRegex: "",
    assignor: null,
    assigned: NOTHING,
    revoking: NOTHING,
    target: NOTHING,
    classic: null,
    native: null,
  };
}

/** A static member that has started again under another member id: what its former self had is its own. */
export function takenOver(former: ConsumerMember, memberId: string): ConsumerMember {
  return { ...former, memberId, epoch: 0, previousEpoch: 0, state: "stable", revoking: NOTHING };
}

export function sameSubscription(one: ConsumerMember, other: ConsumerMember): boolean {
  return (
    one.topicRegex === other.topicRegex &&
    one.topicNames.length === other.topicNames.length &&
    one.topicNames.every((name, index) => name === other.topicNames[index])
  );
}

export function unknownMember(memberId: string, instanceId: string | null): Failure {
  return failure(
    "UNKNOWN_MEMBER_ID",
    instanceId === null
      ? `the group has no member ${JSON.stringify(memberId)}; join again`
      : `no member has the instance id ${JSON.stringify(instanceId)}; join again`,
  );
}

export const consumerMemberCodec: MemberCodec<ConsumerMember> = {
  write: (member) =>
    JSON.stringify({
      ...member,
      assigned: writeAssignment(member.assigned),
      revoking: writeAssignment(member.revoking),
      target: writeAssignment(member.target),
      classic: member.classic && {
        ...member.classic,
        protocols: member.classic.protocols.map(({ name, metadata }) => ({
          name,
          metadata: base64(metadata),
        })),
      },
    }),
  read(stored) {
    const member: StoredConsumerMember = JSON.parse(stored);
    return {
      ...member,
      native: member.native ?? null,
      assigned: readAssignment(member.assigned),
      revoking: readAssignment(member.revoking),
      target: readAssignment(member.target),
      classic: member.classic && {
        ...member.classic,
        protocols: member.classic.protocols.map(({ name, metadata }) => ({
          name,
          metadata: bytesOf(metadata),
        })),
      },
    };
  },
};

type Assignments = "assigned" | "revoking" | "target";

/** As written above. */
type StoredConsumerMember = Omit<ConsumerMember, Assignments | "classic" | "native"> &
  Record<Assignments, ReturnType<typeof writeAssignment>> & {
    /** Absent in a row that is older than this kind of member. */
    readonly native?: NativeTraits | null;
    readonly classic:
      | (Omit<ClassicTraits, "protocols"> & {
          readonly protocols: readonly { readonly name: string; readonly metadata: string }[];
        })
      | null;
  };
