/** Whoever is sent what is committed: a read_committed WebSocket that is opened again at its position whenever it is lost. */

import { isFailure } from "../../src/model/errors.ts";
import { decodeFrame } from "../../src/subscribe/frame.ts";
import { leaderSubscribeRequest, REMOTE_START_STATUS } from "../../src/subscribe/leader-request.ts";
import { encodeClientMessage, parseServerMessage } from "../../src/subscribe/protocol.ts";
import { readBatches } from "../crash/records.ts";
import { Connection, type SocketData } from "./connection.ts";
import { isFault } from "./object-host.ts";
import type { SimulatedTransactions } from "./transactions.ts";

const CREDIT_BYTES_MAX = 3_000;
const RECONNECT_MS_MAX = 100;

/** Of the batches that begin at or after the offset. */
export function batchIds(batches: Uint8Array, fromOffset: number): number[] {
  const { records } = readBatches(batches, fromOffset);
  return records.filter(({ index }) => index === 0).map(({ batch }) => batch);
}

export class CommittedSubscriber {
  readonly #all: SimulatedTransactions;
  readonly #partition: number;
  readonly #ids: number[];
  #position = 0;

  /** `ids`: to be filled with what it sees. */
  constructor(all: SimulatedTransactions, partition: number, ids: number[]) {
    this.#all = all;
    this.#partition = partition;
    this.#ids = ids;
  }

  async run(): Promise<void> {
    const { workload } = this.#all;
    while (!workload.isDraining) {
      const socket = await this.#open();
      if (socket !== undefined) await this.#listen(socket);
      await workload.pause(RECONNECT_MS_MAX);
    }
  }

  async #open(): Promise<Connection | undefined> {
    const { workload, topic } = this.#all;
    const subscription = {
      partition: this.#partition,
      offset: this.#position,
      creditBytes: workload.random.integer(1, CREDIT_BYTES_MAX),
      format: "binary",
      isolation: "read_committed",
    } as const;
    const leader = workload.frontEnd.partition(topic.id, this.#partition);
    const request = leaderSubscribeRequest(subscription, topic.version);
    const response = await workload.frontEnd.askOnce(() => leader.fetch(request)).catch(faultOnly);
    if (response === undefined || workload.isDraining) return undefined;
    const socket: unknown = response.webSocket;
    if (socket instanceof Connection) return socket;
    if (response.status === REMOTE_START_STATUS) await this.#readOn();
    else workload.platform.violated(`a read_committed subscription was answered ${response.status}`);
    return undefined;
  }

  /** As a front end bridges the part that is in R2. */
  async #readOn(): Promise<void> {
    const { platform } = this.#all.workload;
    const read = await this.#all.read(this.#partition, this.#position);
    if (read === undefined) return;
    if (isFailure(read)) platform.violated(`a subscriber's front end was told ${read.message}`);
    else this.#take(read.ids, read.nextOffset);
  }

  #listen(socket: Connection): Promise<void> {
    const { random, platform } = this.#all.workload;
    const patience = random.integer(1, 20);
    let messages = 0;
    return new Promise((resolve) => {
      const leave = () => {
        socket.close();
        resolve();
      };
      const lookUp = async () => {
        while (!this.#all.workload.isDraining && socket.isOpen) await this.#all.workload.pause(400);
        leave();
      };
      void lookUp();
      socket.listen({
        message: (data) => {
          platform.count("messages to read_committed subscribers");
          const bytes = this.#received(data);
          if (bytes > 0 && socket.isOpen) socket.send(encodeClientMessage({ type: "credit", bytes }));
          if (++messages > patience) leave();
        },
        closed: () => resolve(),
      });
    });
  }

  /** What it cost in credit. */
  #received(data: SocketData): number {
    const { platform } = this.#all.workload;
    if (typeof data === "string") {
      const message = parseServerMessage(data);
      if (message === undefined || isFailure(message) || message.type === "error")
        platform.violated(`a read_committed subscriber was told ${data}`);
      return 0;
    }
    const frame = decodeFrame(data);
    if (frame === undefined) throw new Error("there is no such frame");
    const { from, next, batches } = frame;
    if (from !== this.#position || next <= from || next > frame.highWatermark) {
      platform.violated(`a read_committed subscriber at ${this.#position} is sent ${from} to ${next}`);
      return 0;
    }
    this.#take(batchIds(batches, from), next);
    return batches.length;
  }

  #take(ids: readonly number[], next: number): void {
    this.#all.workload.platform.count("committed batches pushed", ids.length);
    this.#ids.push(...ids);
    this.#position = next;
  }
}

function faultOnly(error: unknown): undefined {
  if (!isFault(error)) throw error;
  return undefined;
}
