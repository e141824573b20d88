import { type Failure, failure } from "../../src/model/errors.ts";
import { groupIdProblem } from "../../src/model/ids.ts";
import { ClassicGroup } from "./classic/classic-group.ts";
import type { ClassicFace } from "./consumer/classic-face.ts";
import type { ConsumerGroup } from "./consumer/consumer-group.ts";
import type { GroupContext } from "./settings.ts";

/** The group as it is now, whichever protocol its members speak. */
export class CurrentGroup {
  readonly groupId: string;
  /** undefined: there is none. */
  value: ClassicGroup | ConsumerGroup | undefined;

  constructor(groupId: string) {
    this.groupId = groupId;
  }

  /** The group, if its partitions are assigned here. */
  get consumers(): ConsumerGroup | undefined {
    return this.value?.type === "consumer" ? this.value : undefined;
  }

  /** Who answers members of the classic protocol. */
  get classicFace(): ClassicGroup | ClassicFace | undefined {
    return this.value?.type === "consumer" ? this.value.classic : this.value;
  }

  /** An empty group of the other kind gives way; its offsets stay. */
  makeClassic(context: GroupContext): ClassicGroup {
    const group = this.value?.type === "classic" ? this.value : ClassicGroup.create(context);
    this.value = group;
    return group;
  }

  idProblem(): Failure | undefined {
    const problem = groupIdProblem(this.groupId);
    return problem === undefined ? undefined : failure("INVALID_GROUP_ID", problem);
  }

  noGroup(error: "UNKNOWN_MEMBER_ID" | "GROUP_ID_NOT_FOUND" | "ILLEGAL_GENERATION"): Failure {
    return failure(error, `there is no group ${JSON.stringify(this.groupId)}`);
  }

  noMember(memberId: string): Failure {
    const message = `group ${JSON.stringify(this.groupId)} has no member ${JSON.stringify(memberId)}`;
    return failure("UNKNOWN_MEMBER_ID", message);
  }
}
