import type { DataFrame } from "../../../subscribe/frame.ts";
import { onAbort, Stop } from "../../abort.ts";
import { Link, PARTITIONS_PER_LINK_MAX, type Wiring } from "../link.ts";
import type { AssignedPartition } from "./assigned-partition.ts";
import type { GroupSettings } from "./options.ts";

export interface ReadersOptions extends Omit<Wiring, "settings"> {
  readonly reading: GroupSettings["reading"];
  onFrame(partition: AssignedPartition, link: Link, frame: DataFrame): void;
  /** The partition is read no more, because of this. */
  onFailed(partition: AssignedPartition, error: unknown): void;
}

/** One connection and what it reads, all of one topic. */
interface Reader {
  readonly link: Link;
  readonly isDirect: boolean;
  readonly topicId: string;
  readonly partitions: Map<number, AssignedPartition>;
  readonly over: Stop;
}

/**
 * The connections of a member's partitions. Each partition comes and goes on its own: the first few have a connection straight
 * to their leader, more of them share connections through a Worker.
 */
export class Readers {
  readonly #options: ReadersOptions;
  readonly #readers = new Map<AssignedPartition, Reader>();

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  /** Reads it from this offset on. */
  add(partition: AssignedPartition, offset: number): void {
    const isDirect = this.#directConnections() < this.#options.reading.maxDirectConnections;
    const shared = isDirect ? undefined : this.#shared(partition.topicId);
    if (shared === undefined) {
      this.#connect(partition, offset, isDirect);
      return;
    }
    shared.partitions.set(partition.partition, partition);
    this.#readers.set(partition, shared);
    shared.link.add(partition.partition, offset);
  }

  remove(partition: AssignedPartition): void {
    const reader = this.#readers.get(partition);
    if (reader === undefined) return;
    this.#readers.delete(partition);
    reader.partitions.delete(partition.partition);
    if (reader.partitions.size === 0) reader.over.abort(new Error("its partitions have been given up"));
    else reader.link.remove(partition.partition);
  }

  #directConnections(): number {
    let count = 0;
    for (const { isDirect } of this.#readers.values()) if (isDirect) count++;
    return count;
  }

  #shared(topicId: string): Reader | undefined {
    for (const reader of this.#readers.values()) {
      if (reader.isDirect || reader.topicId !== topicId) continue;
      if (reader.link.size < PARTITIONS_PER_LINK_MAX) return reader;
    }
    return undefined;
  }

  #connect(first: AssignedPartition, offset: number, isDirect: boolean): void {
    const { reading, onFrame, onFailed, over: allOver, ...wiring } = this.#options;
    const over = new Stop();
    const stop = onAbort(allOver, () => over.abort(allOver.reason));
    onAbort(over, stop);
    const partitions = new Map([[first.partition, first]]);
    const link = new Link(
      new Map([[first.partition, offset]]),
      isDirect,
      { ...wiring, over, settings: { ...reading, topic: first.topic, topicId: first.topicId } },
      (from, frame) => {
        const partition = partitions.get(frame.partition);
        if (partition !== undefined) onFrame(partition, from, frame);
      },
    );
    this.#readers.set(first, { link, isDirect, topicId: first.topicId, partitions, over });
    link.run().catch((error: unknown) => {
      for (const partition of [...partitions.values()]) {
        this.#readers.delete(partition);
        onFailed(partition, error);
      }
    });
  }
}
