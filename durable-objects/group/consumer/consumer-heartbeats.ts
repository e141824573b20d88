import { type Failure, failure, isFailure } from "../../../src/model/errors.ts";
import type { ClassicGroup } from "../classic/classic-group.ts";
import { CONSUMER_PROTOCOL_TYPE } from "../consumer-protocol.ts";
import type { CurrentGroup } from "../current-group.ts";
import type { Plan, PlannedChanges } from "../planned-changes.ts";
import { type ConsumerGroupHeartbeatAnswer, type ConsumerGroupHeartbeatRequest, JOIN_EPOCH } from "../rpc.ts";
import type { GroupContext } from "../settings.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import type { NativeTraits } from "./consumer-member.ts";
import { heartbeatProblem } from "./heartbeat-request.ts";
import { planUpgrade, upgraded } from "./migration.ts";
import type { TopicSnapshot } from "./topic-directory.ts";

type HeartbeatResult = ConsumerGroupHeartbeatAnswer | Failure;

/** Heartbeats of KIP-848 and of native members, which make the group what they need it to be: a group of consumers. */
export class ConsumerHeartbeats {
  readonly #current: CurrentGroup;
  readonly #context: GroupContext;
  readonly #plans: PlannedChanges;

  constructor(current: CurrentGroup, context: GroupContext, plans: PlannedChanges) {
    this.#current = current;
    this.#context = context;
    this.#plans = plans;
  }

  /** `native`: of a member that does not speak Kafka's protocol. `done`: in the turn in which it has been heard. */
  async heartbeat(
    request: ConsumerGroupHeartbeatRequest,
    native: NativeTraits | null,
    done?: (answer: ConsumerGroupHeartbeatAnswer) => void,
  ): Promise<HeartbeatResult> {
    const problem = this.#current.idProblem() ?? heartbeatProblem(request);
    if (problem !== undefined) return problem;
    const isJoining = request.memberEpoch === JOIN_EPOCH;
    const beat = (group: ConsumerGroup, topics: TopicSnapshot | undefined) => {
      this.#current.value = group;
      const answer = group.heartbeat(request, topics, native);
      if (!isFailure(answer)) done?.(answer);
      return answer;
    };
    return this.#plans.carryOut(
      () => {
        const group = this.#current.value;
        // Of these, Kafka says GROUP_ID_NOT_FOUND, which ends a client; a member that has been forgotten joins again.
        if (!isJoining && group?.type !== "consumer") return this.#current.noGroup("UNKNOWN_MEMBER_ID");
        if (group?.type === "classic" && !group.isEmpty) {
          return this.#planUpgrade(group, request, native, beat);
        }
        const consumers = group?.type === "consumer" ? group : ConsumerGroup.create(this.#context);
        const needs =
          request.memberEpoch < JOIN_EPOCH ? undefined : consumers.membership.subscriptionsWith(request);
        if (isFailure(needs)) return needs;
        return {
          needs,
          run: (topics) => {
            // An empty one may still expect members that it has given an id.
            if (this.#current.value?.type === "classic") this.#current.value.dissolve();
            return beat(consumers, topics);
          },
        };
      },
      // A member that does not speak Kafka's protocol is told at once which of its topics there are.
      { opens: isJoining, looksAgain: isJoining && native !== null },
    );
  }

  /** The first member of KIP-848 in a group of the classic protocol takes the whole group along. */
  #planUpgrade(
    group: ClassicGroup,
    request: ConsumerGroupHeartbeatRequest,
    native: NativeTraits | null,
    beat: (group: ConsumerGroup, topics: TopicSnapshot) => HeartbeatResult,
  ): Plan<HeartbeatResult> | Failure {
    const { size } = group;
    // A full group is not to be disturbed; a static member may take over from its former self.
    if (request.instanceId === null && size >= this.#context.settings.membersMax) {
      const message = `the group has ${size} members, the most that it can have`;
      return failure("GROUP_MAX_SIZE_REACHED", message);
    }
    const upgrade = planUpgrade(group, request);
    if (isFailure(upgrade)) {
      return upgrade.error === "GROUP_ID_NOT_FOUND" ? this.#notForConsumers(group, native) : upgrade;
    }
    return {
      needs: upgrade.needs,
      run: (topics) => {
        if (topics === undefined) {
          return failure("COORDINATOR_NOT_AVAILABLE", "which topics there are cannot be asked now");
        }
        return beat(upgraded(this.#context, group, upgrade.members, topics), topics);
      },
    };
  }

  /** Kafka's clients are told what Kafka tells them. */
  #notForConsumers({ record: { protocolType } }: ClassicGroup, native: NativeTraits | null): Failure {
    const reason =
      protocolType === CONSUMER_PROTOCOL_TYPE
        ? "some of its members are consumers whose subscriptions only they themselves understand"
        : `its members are of protocol type ${JSON.stringify(protocolType)}, not consumers`;
    return failure(
      native === null ? "GROUP_ID_NOT_FOUND" : "INCONSISTENT_GROUP_PROTOCOL",
      `group ${JSON.stringify(this.#current.groupId)} assigns its partitions itself: ${reason}. Take another group id, or stop its members first`,
    );
  }
}
