/** What is held against limits before a group looks at it. */

import { type Failure, failure } from "../../src/model/errors.ts";
import {
  GROUP_MEMBER_ASSIGNMENT_BYTES_MAX,
  GROUP_MEMBER_METADATA_BYTES_MAX,
  GROUP_MEMBER_PROTOCOLS_MAX,
  GROUP_MEMBERS_MAX,
  GROUP_REBALANCE_TIMEOUT_MS_MAX,
  GROUP_SESSION_TIMEOUT_MS,
  GROUP_TEXT_CHARACTERS_MAX,
  OFFSETS_PER_GROUP_MAX,
} from "../../src/model/limits.ts";
import type { CommitOffsetsRequest, JoinGroupRequest, LeavingMember, SyncGroupRequest } from "./rpc.ts";

/** INVALID_SESSION_TIMEOUT, INVALID_REQUEST */
export function joinProblem(request: JoinGroupRequest): Failure | undefined {
  const { sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
  const { least, most } = GROUP_SESSION_TIMEOUT_MS;
  if (!(sessionTimeoutMs >= least && sessionTimeoutMs <= most)) {
    return failure(
      "INVALID_SESSION_TIMEOUT",
      `the session timeout is ${sessionTimeoutMs} ms; it must be from ${least} to ${most}`,
    );
  }
  if (!(rebalanceTimeoutMs <= GROUP_REBALANCE_TIMEOUT_MS_MAX)) {
    return failure(
      "INVALID_REQUEST",
      `the rebalance timeout is ${rebalanceTimeoutMs} ms; it must be at most ${GROUP_REBALANCE_TIMEOUT_MS_MAX}`,
    );
  }
  if (protocols.length > GROUP_MEMBER_PROTOCOLS_MAX) {
    return failure(
      "INVALID_REQUEST",
      `the member has ${protocols.length} protocols; at most ${GROUP_MEMBER_PROTOCOLS_MAX} are allowed`,
    );
  }
  const bytes = protocols.reduce((sum, { metadata }) => sum + metadata.length, 0);
  if (bytes > GROUP_MEMBER_METADATA_BYTES_MAX) {
    return failure(
      "INVALID_REQUEST",
      `the member's metadata has ${bytes} bytes; at most ${GROUP_MEMBER_METADATA_BYTES_MAX} are allowed`,
    );
  }
  return textsProblem(
    request.memberId,
    request.instanceId,
    request.clientId,
    request.clientHost,
    request.protocolType,
    ...protocols.map(({ name }) => name),
  );
}

export function syncProblem({ assignments }: SyncGroupRequest): Failure | undefined {
  const large = assignments.find(({ assignment }) => assignment.length > GROUP_MEMBER_ASSIGNMENT_BYTES_MAX);
  if (large === undefined) return undefined;
  return failure(
    "INVALID_REQUEST",
    `the assignment of ${large.memberId} has ${large.assignment.length} bytes; at most ${GROUP_MEMBER_ASSIGNMENT_BYTES_MAX} are allowed`,
  );
}

export function leaveProblem(members: readonly LeavingMember[]): Failure | undefined {
  if (members.length <= GROUP_MEMBERS_MAX) return undefined;
  return failure(
    "INVALID_REQUEST",
    `${members.length} members leave; a group has at most ${GROUP_MEMBERS_MAX}`,
  );
}

export function commitProblem({ offsets }: Pick<CommitOffsetsRequest, "offsets">): Failure | undefined {
  if (offsets.length <= OFFSETS_PER_GROUP_MAX) return undefined;
  return failure(
    "INVALID_COMMIT_OFFSET_SIZE",
    `${offsets.length} offsets are committed; a group keeps at most ${OFFSETS_PER_GROUP_MAX}`,
  );
}

export function textsProblem(...texts: readonly (string | null)[]): Failure | undefined {
  const long = texts.find((text) => text !== null && text.length > GROUP_TEXT_CHARACTERS_MAX);
  if (long === undefined || long === null) return undefined;
  return failure(
    "INVALID_REQUEST",
    `${JSON.stringify(long.slice(0, 40))}… has ${long.length} characters; at most ${GROUP_TEXT_CHARACTERS_MAX} are allowed`,
  );
}
