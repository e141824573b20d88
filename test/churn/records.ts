/** The records: each contains its place in its partition, which is to be its offset. */

import { setTimeout as delay } from "node:timers/promises";
import { initProducerIdApi } from "../../src/kafka/messages/init-producer-id.ts";
import { produceApi } from "../../src/kafka/messages/produce.ts";
import { ZERO_UUID } from "../../src/kafka/schema.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import type { Connection } from "./connection.ts";

const EVERY_MS = 100;
const AGAIN_MS = 100;
const VALUE_CHARACTERS = 64;

export interface Plan {
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly ms: number;
}

export class Records {
  /** What has been acknowledged: the log end of each partition. */
  readonly ends: number[];
  readonly #connection: Connection;
  readonly #plan: Plan;
  #producerId = -1;
  #producerEpoch = -1;

  constructor(connection: Connection, plan: Plan) {
    this.#connection = connection;
    this.#plan = plan;
    this.ends = Array.from({ length: plan.partitions }, () => 0);
  }

  get produced(): number {
    return this.ends.reduce((sum, end) => sum + end, 0);
  }

  /** Produces them all, evenly over the time, each exactly once however often the cluster goes away meanwhile. */
  async produce(): Promise<void> {
    const { records, ms, partitions } = this.#plan;
    const { producerId, producerEpoch } = await this.#connection.ask(initProducerIdApi, 4, {
      transactionalId: null,
      transactionTimeoutMs: 0,
    });
    this.#producerId = producerId;
    this.#producerEpoch = producerEpoch;
    const begunMs = performance.now();
    while (this.produced < records) {
      const share = Math.min(1, (performance.now() - begunMs + EVERY_MS) / ms);
      const targets = this.ends.map((_, partition) => {
        const own = Math.floor(records / partitions) + (partition < records % partitions ? 1 : 0);
        return Math.floor(own * share);
      });
      await this.#produceUpTo(targets);
      if (share < 1) await delay(EVERY_MS);
    }
  }

  async #produceUpTo(targets: readonly number[]): Promise<void> {
    for (;;) {
      const due = targets.flatMap((target, index) => {
        const from = this.ends[index] ?? 0;
        return target > from ? [{ index, from, target, records: this.#batch(from, target) }] : [];
      });
      if (due.length === 0) return;
      const { responses } = await this.#connection.ask(produceApi, 9, {
        acks: -1,
        timeoutMs: 30_000,
        topicData: [{ name: this.#plan.topic, topicId: ZERO_UUID, partitionData: due }],
      });
      for (const { index, errorCode, baseOffset } of responses[0]?.partitionResponses ?? []) {
        const sent = due.find((one) => one.index === index);
        if (errorCode !== 0 || sent === undefined) continue;
        if (baseOffset !== sent.from) {
          throw new Error(`partition ${index}: the batch from ${sent.from} on is at ${baseOffset}`);
        }
        this.ends[index] = sent.target;
      }
      if (targets.some((target, index) => target > (this.ends[index] ?? 0))) await delay(AGAIN_MS);
    }
  }

  #batch(from: number, to: number): Uint8Array {
    const timestamp = Date.now();
    const records = Array.from({ length: to - from }, (_, index) => ({
      timestamp,
      key: null,
      value: Buffer.from(String(from + index).padEnd(VALUE_CHARACTERS)),
    }));
    return encodeBatch(records, {
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      baseSequence: from,
    });
  }
}
