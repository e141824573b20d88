import { setTimeout as delay } from "node:timers/promises";
import { offsetFetchApi } from "../../src/kafka/messages/offset-fetch.ts";
import { ZERO_UUID } from "../../src/kafka/schema.ts";
import type { CommittedOffsets } from "./check.ts";
import type { Connection } from "./connection.ts";

const EVERY_MS = 250;

/** Asks for a group's committed offsets again and again. */
export class CommittedOffsetsWatch {
  readonly seen: CommittedOffsets[] = [];
  readonly #connection: Connection;
  readonly #request;

  constructor(connection: Connection, group: string, topic: string, partitions: number) {
    this.#connection = connection;
    const topics = [
      {
        name: topic,
        topicId: ZERO_UUID,
        partitionIndexes: Array.from({ length: partitions }, (_, index) => index),
      },
    ];
    this.#request = { groups: [{ groupId: group, topics }] };
  }

  get last(): readonly number[] {
    return this.seen.at(-1)?.offsets ?? [];
  }

  async until(isEnough: (offsets: readonly number[]) => boolean): Promise<void> {
    while (!isEnough(await this.ask())) await delay(EVERY_MS);
  }

  async ask(): Promise<readonly number[]> {
    for (;;) {
      const askedMs = Date.now();
      const { groups } = await this.#connection.ask(offsetFetchApi, 8, this.#request);
      const [group] = groups;
      const partitions = group?.topics[0]?.partitions ?? [];
      // A coordinator that is not there yet says so; that is no answer.
      if (group?.errorCode !== 0 || partitions.some(({ errorCode }) => errorCode !== 0)) {
        await delay(EVERY_MS);
        continue;
      }
      const offsets: number[] = [];
      for (const { partitionIndex, committedOffset } of partitions) offsets[partitionIndex] = committedOffset;
      this.seen.push({ askedMs, answeredMs: Date.now(), offsets });
      return offsets;
    }
  }
}
