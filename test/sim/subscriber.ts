/** Whoever is sent what is appended: a WebSocket that is opened again at its position whenever it is lost. */

import { isFailure } from "../../src/model/errors.ts";
import { decodeFrame } from "../../src/subscribe/frame.ts";
import {
  leaderNoticesRequest,
  leaderSubscribeRequest,
  parseNotice,
  REMOTE_START_STATUS,
} from "../../src/subscribe/leader-request.ts";
import { encodeClientMessage, parseServerMessage } from "../../src/subscribe/protocol.ts";
import type { SeenRecord } from "../crash/history.ts";
import { originOf } from "../crash/records.ts";
import { Connection, type SocketData } from "./connection.ts";
import { isFault } from "./object-host.ts";
import type { PartitionRecord } from "./partition-record.ts";
import { readPartition } from "./reader.ts";
import type { LiveTopic, Workload } from "./workload.ts";

const CREDIT_BYTES_MAX = 6_000;
const RECONNECT_MS_MAX = 100;

export class Subscriber {
  readonly #workload: Workload;
  readonly #live: LiveTopic;
  readonly #partition: number;
  readonly #record: PartitionRecord;
  readonly #format: "binary" | "json";
  #position = 0;

  constructor(workload: Workload, live: LiveTopic, partition: number, record: PartitionRecord) {
    this.#workload = workload;
    this.#live = live;
    this.#partition = partition;
    this.#record = record;
    this.#format = workload.random.pick(["binary", "json"]);
  }

  get #isOver(): boolean {
    return this.#live.isEnded || this.#workload.isDraining;
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      const socket = await this.#open();
      if (socket !== undefined) await this.#listen(socket);
      await this.#workload.pause(RECONNECT_MS_MAX);
    }
  }

  async #open(): Promise<Connection | undefined> {
    const { platform, random } = this.#workload;
    const subscription = {
      partition: this.#partition,
      offset: this.#position,
      creditBytes: random.integer(0, CREDIT_BYTES_MAX),
      format: this.#format,
    };
    const request = leaderSubscribeRequest(subscription, this.#live.topic.version);
    const leader = this.#workload.leader(this.#live, this.#partition);
    const response = await this.#workload.frontEnd.askOnce(() => leader.fetch(request)).catch(faultOnly);
    if (response === undefined || this.#isOver) return undefined;
    if (response.status === REMOTE_START_STATUS) {
      await this.#readOn();
      return undefined;
    }
    const socket: unknown = response.webSocket;
    if (socket instanceof Connection) return socket;
    platform.violated(`${this.#record.name}: a subscription was answered ${response.status}`);
    return undefined;
  }

  /** As a front end bridges the part that is in R2. */
  async #readOn(): Promise<void> {
    const read = await readPartition(this.#workload, this.#live, this.#partition, this.#position, 2_000);
    if (read === undefined || this.#live.isEnded) return;
    if (isFailure(read)) this.#position = Math.max(this.#position, read.logStartOffset ?? 0);
    else this.#position = this.#record.follows(this.#position, read.batches, "a subscriber's front end");
  }

  #listen(socket: Connection): Promise<void> {
    const { random, platform } = this.#workload;
    const patience = random.integer(1, 40);
    let messages = 0;
    return new Promise((resolve) => {
      const credit = async (bytes: number) => {
        await this.#workload.pause(random.pick([0, 5, 500]));
        if (socket.isOpen && bytes > 0) socket.send(encodeClientMessage({ type: "credit", bytes }));
      };
      const leave = () => {
        socket.close();
        resolve();
      };
      const lookUp = async () => {
        while (!this.#isOver && socket.isOpen) await this.#workload.pause(400);
        leave();
      };
      void lookUp();
      socket.listen({
        message: (data) => {
          if (this.#live.isEnded) return;
          platform.count("messages to subscribers");
          void credit(this.#take(data)).catch((error) => platform.violated(String(error)));
          if (++messages > patience) leave();
        },
        closed: () => resolve(),
      });
      // Without any credit nothing would ever come.
      void credit(random.integer(1, CREDIT_BYTES_MAX));
    });
  }

  /** What it cost in credit. */
  #take(data: SocketData): number {
    if (typeof data !== "string") {
      const frame = decodeFrame(data);
      if (frame === undefined) throw new Error("there is no such frame");
      if (!this.#follows(frame.from)) return 0;
      const next = this.#record.follows(this.#position, frame.batches, "a subscriber");
      this.#moved(next, frame.next);
      return frame.batches.length;
    }
    const message = parseServerMessage(data);
    if (message === undefined || isFailure(message)) throw new Error(`a subscriber was told ${data}`);
    if (message.type === "error") {
      const { log_start_offset: logStart = 0 } = message;
      const { code } = message.error;
      if (code === "OFFSET_OUT_OF_RANGE" && logStart > this.#position) this.#position = logStart;
      // It was too slow with its credit.
      else if (code === "THROTTLING_QUOTA_EXCEEDED") this.#workload.platform.count("subscribers shed");
      else this.#workload.platform.violated(`${this.#record.name}: a subscriber was told ${data}`);
      return 0;
    }
    if (message.type !== "records" || !this.#follows(message.from)) return 0;
    const records: SeenRecord[] = message.records.map(({ offset, value }) => ({
      offset,
      ...originOf(String(value)),
    }));
    this.#record.report(this.#record.history.followed(this.#position, records, "a subscriber"));
    this.#moved((records.at(-1)?.offset ?? this.#position - 1) + 1, message.next);
    return message.bytes;
  }

  #follows(from: number): boolean {
    if (from === this.#position) return true;
    this.#workload.platform.violated(
      `${this.#record.name}: a subscriber at ${this.#position} is sent what follows ${from}`,
    );
    return false;
  }

  #moved(read: number, told: number): void {
    if (read !== told)
      this.#workload.platform.violated(`${this.#record.name}: a frame ends at ${read}, and says ${told}`);
    this.#position = told;
  }
}

/** A notice socket, as waiting reads hold one: what it says of the log's ends never goes down. */
export async function listenToNotices(
  workload: Workload,
  live: LiveTopic,
  partition: number,
  record: PartitionRecord,
): Promise<void> {
  while (!live.isEnded && !workload.isDraining) {
    const leader = workload.leader(live, partition);
    const reading = record.asks();
    const response = await workload.frontEnd
      .askOnce(() => leader.fetch(leaderNoticesRequest(live.topic.version)))
      .catch(faultOnly);
    const socket: unknown = response?.webSocket;
    if (socket instanceof Connection) {
      let { logStart, logEnd } = reading.known;
      socket.listen({
        message: (data) => {
          if (live.isEnded) return;
          const notice = parseNotice(data);
          if (notice === undefined || notice.logStartOffset < logStart || notice.logEndOffset < logEnd) {
            workload.platform.violated(`${record.name}: a notice says ${data} after ${logStart} ${logEnd}`);
            return;
          }
          logStart = notice.logStartOffset;
          logEnd = notice.logEndOffset;
        },
        closed: () => undefined,
      });
      for (let pauses = workload.random.integer(1, 20); pauses > 0 && socket.isOpen; pauses--) {
        await workload.pause(200);
        if (live.isEnded || workload.isDraining) break;
      }
      socket.close();
    }
    await workload.pause(300);
  }
}

function faultOnly(error: unknown): undefined {
  if (!isFault(error)) throw error;
  return undefined;
}
