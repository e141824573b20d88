import type { TopicId } from "../../../src/model/ids.ts";
import type { ConsumerMember } from "./consumer-member.ts";

/** Who has each partition: one member at most, which is the promise of the whole protocol. */
export class PartitionOwners {
  readonly #owners = new Map<TopicId, Map<number, string>>();

  of(topicId: TopicId, partition: number): string | undefined {
    return this.#owners.get(topicId)?.get(partition);
  }

  /** @throws if a partition belongs to another member */
  add({ memberId, assigned, revoking }: ConsumerMember): void {
    for (const assignment of [assigned, revoking]) {
      for (const [topicId, partitions] of Object.entries(assignment)) {
        const owners = this.#owners.get(topicId) ?? new Map<number, string>();
        this.#owners.set(topicId, owners);
        for (const partition of partitions) {
          const owner = owners.get(partition);
          if (owner !== undefined) {
            throw new Error(`partition ${partition} of ${topicId} belongs to ${owner}, not to ${memberId}`);
          }
          owners.set(partition, memberId);
        }
      }
    }
  }

  remove({ assigned, revoking }: ConsumerMember): void {
    for (const assignment of [assigned, revoking]) {
      for (const [topicId, partitions] of Object.entries(assignment)) {
        const owners = this.#owners.get(topicId);
        for (const partition of partitions) owners?.delete(partition);
        if (owners?.size === 0) this.#owners.delete(topicId);
      }
    }
  }
}
