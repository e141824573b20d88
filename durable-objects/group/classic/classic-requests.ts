import { type Failure, isFailure } from "../../../src/model/errors.ts";
import { subscribedTopics } from "../consumer-protocol.ts";
import type { CurrentGroup } from "../current-group.ts";
import type { Plan, PlannedChanges } from "../planned-changes.ts";
import { joinProblem, leaveProblem, syncProblem } from "../requests.ts";
import type {
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResult,
  LeavingMember,
  LeftMember,
  SyncedGroup,
  SyncGroupRequest,
} from "../rpc.ts";
import type { GroupContext } from "../settings.ts";

export interface ClassicRequestsContext {
  readonly current: CurrentGroup;
  readonly context: GroupContext;
  readonly plans: PlannedChanges;
  /** Carries a change out, in this turn. */
  change<T>(change: () => T): T;
}

/** What members of the classic protocol ask, whichever kind of group answers them. */
export class ClassicRequests {
  readonly #around: ClassicRequestsContext;

  constructor(around: ClassicRequestsContext) {
    this.#around = around;
  }

  async join(asked: JoinGroupRequest): Promise<JoinGroupResult> {
    const { context, current, plans } = this.#around;
    const { memberId, rebalanceTimeoutMs, sessionTimeoutMs } = asked;
    const problem = current.idProblem() ?? joinProblem(asked);
    if (problem !== undefined) return { ...problem, memberId };
    const request = {
      ...asked,
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
    };
    const plan = (): Plan<JoinGroupResult | Promise<JoinGroupResult>> | Failure => {
      const group = current.value;
      // A member that is known belongs to a group that exists.
      if (group === undefined && memberId !== "") return current.noGroup("UNKNOWN_MEMBER_ID");
      if (group?.type !== "consumer" || group.isEmpty) {
        return { needs: undefined, run: () => current.makeClassic(context).join(request) };
      }
      const subscribed = subscribedTopics(request.protocols[0]?.metadata ?? new Uint8Array());
      const needs = group.membership.subscriptionsWith({
        subscribedTopicNames: subscribed ?? [],
        subscribedTopicRegex: null,
      });
      return isFailure(needs) ? needs : { needs, run: (topics) => group.classic.join(request, topics) };
    };
    const result = await plans.carryOut(plan, { opens: true });
    return isFailure(result) ? { memberId, ...result } : result;
  }

  async sync(request: SyncGroupRequest): Promise<SyncedGroup | Failure> {
    const { change, current } = this.#around;
    const problem = current.idProblem() ?? syncProblem(request);
    if (problem !== undefined) return problem;
    return change(() => current.classicFace?.sync(request) ?? current.noGroup("UNKNOWN_MEMBER_ID"));
  }

  async heartbeat(request: HeartbeatRequest): Promise<Failure | null> {
    const { change, current } = this.#around;
    const problem = current.idProblem();
    if (problem !== undefined) return problem;
    return change(() => {
      const group = current.classicFace;
      return group === undefined ? current.noGroup("UNKNOWN_MEMBER_ID") : group.heartbeat(request);
    });
  }

  async leave(members: readonly LeavingMember[]): Promise<LeftMember[] | Failure> {
    const { change, current } = this.#around;
    const problem = current.idProblem() ?? leaveProblem(members);
    if (problem !== undefined) return problem;
    return change(
      () =>
        current.classicFace?.leave(members) ??
        members.map((member) => ({ ...member, error: "UNKNOWN_MEMBER_ID" as const })),
    );
  }
}
