import { EdgelogError } from "../../../model/errors.ts";
import { GROUP_PARTITIONS_PER_MESSAGE_MAX } from "../../../model/limits.ts";
import type { AbortSignalLike } from "../../abort.ts";
import { isRetriable, orAborted, pause } from "../../retry.ts";
import { type AssignedPartition, partitionKey } from "./assigned-partition.ts";
import type { Membership } from "./membership.ts";

export interface PositionToCommit {
  readonly partition: AssignedPartition;
  readonly offset: number;
  readonly metadata: string | undefined;
}

/** How long a commit is given that no time of its own bounds, before it is tried again. */
const AGAIN_MS = 100;

/** Commits positions, by the clock or when it is told to. */
export class Committer {
  /** What makes committing by the clock impossible. */
  onFailed: (error: unknown) => void = () => {};
  readonly #membership: Membership;
  readonly #over: AbortSignalLike;
  readonly #timeoutMs: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isBusy = false;

  constructor(membership: Membership, over: AbortSignalLike, timeoutMs: number) {
    this.#membership = membership;
    this.#over = over;
    this.#timeoutMs = timeoutMs;
  }

  every(ms: number, partitions: ReadonlyMap<string, AssignedPartition>): void {
    this.#timer = setInterval(() => void this.#byTheClock([...partitions.values()]), ms);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #byTheClock(partitions: readonly AssignedPartition[]): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.commitPositions(partitions, "once");
    } catch (error) {
      // What was given away or could not be told is tried the next time, or is another member's.
      const isOurs = error instanceof EdgelogError && error.code === "STALE_MEMBER_EPOCH";
      if (!isOurs && !isRetriable(error)) this.onFailed(error);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Where they have come to, if that is not committed yet. */
  async commitPositions(
    partitions: readonly AssignedPartition[],
    tries: "once" | "repeatedly" = "repeatedly",
  ): Promise<void> {
    const positions = partitions.flatMap((partition) =>
      partition.isDirty && partition.position !== undefined && !partition.isLost
        ? { partition, offset: partition.position, metadata: undefined }
        : [],
    );
    await (tries === "once" ? this.#commit(positions) : this.commitNow(positions));
  }

  /** Again for as long as its time allows, while that may help. */
  async commitNow(positions: readonly PositionToCommit[]): Promise<void> {
    const deadlineMs = Date.now() + this.#timeoutMs;
    for (;;) {
      try {
        await this.#commit(positions);
        return;
      } catch (error) {
        const isLost = positions.some(({ partition }) => partition.isLost);
        if (isLost) throw notOurs(positions);
        if (!isRetriable(error) || Date.now() + AGAIN_MS >= deadlineMs || this.#over.aborted) throw error;
        await pause(AGAIN_MS, this.#over);
        await Promise.race([
          orAborted(this.#membership.joined(), this.#over),
          pause(Math.max(0, deadlineMs - Date.now()), this.#over),
        ]);
      }
    }
  }

  async #commit(positions: readonly PositionToCommit[]): Promise<void> {
    const parts: PositionToCommit[][] = [];
    for (let at = 0; at < positions.length; at += GROUP_PARTITIONS_PER_MESSAGE_MAX) {
      parts.push(positions.slice(at, at + GROUP_PARTITIONS_PER_MESSAGE_MAX));
    }
    await Promise.all(parts.map((part) => this.#commitPart(part)));
  }

  async #commitPart(positions: readonly PositionToCommit[]): Promise<void> {
    const { error, errors = [] } = await this.#membership.commit(
      positions.map(({ partition: { topicId, partition }, offset, metadata }) => ({
        topic_id: topicId,
        partition,
        offset,
        ...(metadata !== undefined && { metadata }),
      })),
    );
    if (error !== undefined) throw new EdgelogError(error.code, error.message);
    const refused = new Map(
      errors.map(({ topic_id, partition, code }) => [partitionKey(topic_id, partition), code]),
    );
    for (const { partition, offset } of positions) {
      if (!refused.has(partition.key)) partition.committed = offset;
    }
    const [first] = errors;
    if (first?.code === "STALE_MEMBER_EPOCH") throw notOurs(positions);
    if (first !== undefined) throw new EdgelogError(first.code);
  }
}

function notOurs(positions: readonly PositionToCommit[]): EdgelogError {
  const names = positions.slice(0, 3).map(({ partition: { topic, partition } }) => `${topic}-${partition}`);
  return new EdgelogError(
    "STALE_MEMBER_EPOCH",
    `of ${names.join(", ")}${positions.length > 3 ? ", …" : ""} some may be another member's by now`,
  );
}
