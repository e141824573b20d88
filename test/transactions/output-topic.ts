/** The topics of a loop: made, waited for until no transaction is open, and closed by {@link END}. */

import { setTimeout as delay } from "node:timers/promises";
import { createTopicsApi } from "../../src/kafka/messages/create-topics.ts";
import { listOffsetsApi } from "../../src/kafka/messages/list-offsets.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { ZERO_UUID } from "../../src/kafka/schema.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import type { Connection } from "../churn/connection.ts";
import { END } from "./output.ts";

const READ_COMMITTED = 1;
const LATEST = -1;
const LOOK_MS = 250;

export async function createTopic(
  connection: Connection,
  name: string,
  numPartitions: number,
): Promise<void> {
  const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
  const { topics } = await connection.ask(createTopicsApi, 5, { topics: [topic], timeoutMs: 30_000 });
  const [answer] = topics;
  // A connection that broke has asked twice.
  if (answer?.errorCode !== 0 && answer?.errorCode !== 36) {
    throw new Error(`no topic ${name}: ${answer?.errorMessage}`);
  }
}

/** Waits until the last stable offset of every partition is its log end; returns what stands open after `ms`. */
export async function untilStable(
  connection: Connection,
  topic: string,
  partitions: number,
  ms: number,
): Promise<string[]> {
  const untilMs = performance.now() + ms;
  for (;;) {
    const stable = await ends(connection, topic, partitions, READ_COMMITTED);
    const all = await ends(connection, topic, partitions, 0);
    const open = all.flatMap((end, partition) => {
      const lastStable = stable[partition] ?? -1;
      return end === lastStable
        ? []
        : [
            `output partition ${partition}: the last stable offset is ${lastStable}, the log ends at ${end}, ${ms} ms after the last worker`,
          ];
    });
    if (open.length === 0 || performance.now() > untilMs) return open;
    await delay(LOOK_MS);
  }
}

export async function writeEnd(connection: Connection, topic: string, partitions: number): Promise<void> {
  const record = { timestamp: Date.now(), key: null, value: Buffer.from(END) };
  const partitionData = indexes(partitions).map((index) => ({ index, records: encodeBatch([record]) }));
  const { responses } = await connection.ask(produceApi, 9, {
    acks: -1,
    timeoutMs: 30_000,
    topicData: [{ name: topic, topicId: ZERO_UUID, partitionData }],
  });
  for (const { index, errorCode } of responses[0]?.partitionResponses ?? []) {
    if (errorCode !== 0) throw new Error(`output partition ${index} has no end: ${errorCode}`);
  }
}

async function ends(
  connection: Connection,
  topic: string,
  partitions: number,
  isolationLevel: number,
): Promise<number[]> {
  const asked = indexes(partitions).map((partitionIndex) => ({ partitionIndex, timestamp: LATEST }));
  const { topics } = await connection.ask(listOffsetsApi, 7, {
    replicaId: -1,
    isolationLevel,
    timeoutMs: 30_000,
    topics: [{ name: topic, partitions: asked }],
  });
  const offsets: number[] = [];
  for (const { partitionIndex, offset } of topics[0]?.partitions ?? []) offsets[partitionIndex] = offset;
  return offsets;
}

function indexes(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
