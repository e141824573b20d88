/**
 * How far members that poll have been given records. Memory only: what is forgotten is given again, from what is committed.
 *
 * An answer may be lost on its way, so a position only counts when the member says which poll it has the answer of.
 */

import type { TopicId } from "../../../src/model/ids.ts";
import type { PositionOfPartition } from "../rpc.ts";

interface Poll {
  readonly id: string;
  /** `topicId/partition` → the offset to read on at. */
  readonly positions: Map<string, number>;
}

export class PollPositions {
  /** Of each member the poll that it has the answer of, and the one after it. */
  readonly #polls = new Map<string, readonly Poll[]>();

  /** A poll begins; `received`: the one before that the member has the answer of. */
  begin(memberId: string, id: string, received: string | null, isAssigned: (key: string) => boolean): void {
    const known = (this.#polls.get(memberId) ?? []).find((poll) => poll.id === received);
    // What the member has no more may have been read on by others when it comes back.
    for (const key of known?.positions.keys() ?? []) if (!isAssigned(key)) known?.positions.delete(key);
    const poll = { id, positions: new Map(known?.positions) };
    this.#polls.set(memberId, known === undefined ? [poll] : [known, poll]);
  }

  /** Where the poll reads on; undefined: where the group has committed. */
  position(memberId: string, id: string, topicId: TopicId, partition: number): number | undefined {
    return this.#poll(memberId, id)?.positions.get(`${topicId}/${partition}`);
  }

  /** What the answer to the poll brings. */
  delivered(memberId: string, id: string, positions: readonly PositionOfPartition[]): void {
    const poll = this.#poll(memberId, id);
    for (const { topicId, partition, offset } of positions) {
      poll?.positions.set(`${topicId}/${partition}`, offset);
    }
  }

  forget(memberId: string): void {
    this.#polls.delete(memberId);
  }

  /** Members that are gone need none. */
  prune(isMember: (memberId: string) => boolean): void {
    for (const memberId of this.#polls.keys()) if (!isMember(memberId)) this.#polls.delete(memberId);
  }

  get size(): number {
    return this.#polls.size;
  }

  #poll(memberId: string, id: string): Poll | undefined {
    return this.#polls.get(memberId)?.find((poll) => poll.id === id);
  }
}
