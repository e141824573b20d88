import type { TopicId } from "../../../src/model/ids.ts";
import { JOIN_EPOCH } from "../rpc.ts";
import { type Assignment, membership, union } from "./assignment.ts";
import type { ConsumerMember } from "./consumer-member.ts";

interface Owner {
  readonly memberId: string;
  /** The epoch at which the member got it. Memory only: in an object that has woken, the member's epoch then. */
  readonly sinceEpoch: number;
}

/** Who has each partition: one member at most, which is the promise of the whole protocol. */
export class PartitionOwners {
  readonly #owners = new Map<TopicId, Map<number, Owner>>();

  of(topicId: TopicId, partition: number): string | undefined {
    return this.#owners.get(topicId)?.get(partition)?.memberId;
  }

  /** Whether the member had it at this epoch, and nobody else has had it since. */
  hasHadSince(epoch: number, memberId: string, topicId: TopicId, partition: number): boolean {
    const owner = this.#owners.get(topicId)?.get(partition);
    return owner !== undefined && owner.memberId === memberId && owner.sinceEpoch <= epoch;
  }

  /**
   * A member as it is now; `before`: as it was.
   *
   * @throws if a partition belongs to another member
   */
  put(member: ConsumerMember, before: ConsumerMember | undefined): void {
    const has = all(member);
    for (const [topicId, partitions] of Object.entries(has)) {
      const owners = this.#owners.get(topicId) ?? new Map<number, Owner>();
      this.#owners.set(topicId, owners);
      for (const partition of partitions) this.#give(owners, topicId, partition, member);
    }
    if (before !== undefined) this.#release(before, membership(has));
  }

  remove(member: ConsumerMember): void {
    this.#release(member, () => false);
  }

  #give(
    owners: Map<number, Owner>,
    topicId: TopicId,
    partition: number,
    { memberId, epoch }: ConsumerMember,
  ): void {
    const owner = owners.get(partition);
    if (owner !== undefined && owner.memberId !== memberId) {
      throw new Error(
        `partition ${partition} of ${topicId} belongs to ${owner.memberId}, not to ${memberId}`,
      );
    }
    // What a static member takes over from its former self it has when it has joined.
    if (owner === undefined || owner.sinceEpoch === JOIN_EPOCH)
      owners.set(partition, { memberId, sinceEpoch: epoch });
  }

  #release(member: ConsumerMember, isKept: (topicId: TopicId, partition: number) => boolean): void {
    for (const [topicId, partitions] of Object.entries(all(member))) {
      const owners = this.#owners.get(topicId);
      for (const partition of partitions) if (!isKept(topicId, partition)) owners?.delete(partition);
      if (owners?.size === 0) this.#owners.delete(topicId);
    }
  }
}

function all({ assigned, revoking }: ConsumerMember): Assignment {
  return union(assigned, revoking);
}
