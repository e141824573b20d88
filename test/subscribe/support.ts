/** A log in memory and sockets whose other end is this process, for testing what ends in a partition without a platform. */

import type { LocalBatches, SubscriberLog } from "../../durable-objects/partition/subscriber-log.ts";
import type {
  SocketKind,
  SubscriberSocket,
  SubscriberSockets,
} from "../../durable-objects/partition/subscriber-sockets.ts";
import { Subscribers } from "../../durable-objects/partition/subscribers.ts";
import { encodeBatch } from "../../src/log/batch.ts";
import { readBatchHeader, sliceFrom, stampBatch } from "../../src/log/batch-header.ts";
import { type AbortedTransaction, visibleBatches } from "../../src/log/committed-batches.ts";
import type { CompressionName } from "../../src/log/compression.ts";
import { encodeMarker } from "../../src/log/control-batch.ts";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { concatBytes } from "../../src/model/bytes.ts";
import { isFailure } from "../../src/model/errors.ts";
import type { Isolation } from "../../src/model/isolation.ts";
import { type DataFrame, decodeFrame } from "../../src/subscribe/frame.ts";
import { type LeaderSubscription, leaderSubscribeRequest } from "../../src/subscribe/leader-request.ts";
import {
  encodeClientMessage,
  parseServerMessage,
  type RecordsMessage,
  type ServerMessage,
} from "../../src/subscribe/protocol.ts";
import { UnsentBudget } from "../../src/subscribe/unsent-budget.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class MemoryLog implements SubscriberLog {
  start = 0;
  localStart = 0;
  end = 0;
  reads = 0;
  /** The first offset of a transaction that is undecided. */
  undecided: number | undefined;
  readonly aborted: AbortedTransaction[] = [];
  readonly #batches: Uint8Array[] = [];

  append(values: readonly (string | Uint8Array)[], compression: CompressionName = "none"): Uint8Array {
    const batch = encodeBatch(
      values.map((value) => ({
        timestamp: 1_700_000_000_000,
        key: null,
        value: typeof value === "string" ? encoder.encode(value) : value,
      })),
      { compression },
    );
    this.appendBatch(batch, values.length);
    return batch;
  }

  appendBatch(batch: Uint8Array, records: number): void {
    stampBatch(batch, this.end, 0);
    this.#batches.push(batch);
    this.end += records;
  }

  logStartOffset(): number {
    return this.start;
  }

  logEndOffset(): number {
    return this.end;
  }

  lastStableOffset(): number {
    return this.undecided ?? this.end;
  }

  earliestLocalOffset(): number {
    return this.localStart;
  }

  readLocal(
    offset: number,
    maxBytes: number,
    isolation: Isolation,
  ): LocalBatches | "remote" | "out_of_range" {
    this.reads++;
    if (offset < this.start || offset > this.end) return "out_of_range";
    if (offset < this.localStart) return "remote";
    const isCommitted = isolation === "read_committed";
    const readable = this.#batches.filter(
      (batch) => !isCommitted || readBatchHeader(batch).baseOffset < this.lastStableOffset(),
    );
    const batches = sliceFrom(concatBytes(readable), offset, maxBytes);
    const abortedTransactions = isCommitted ? this.aborted : undefined;
    return { ...visibleBatches({ batches, abortedTransactions }, offset), readBytes: batches.length };
  }
}

/** The server's end of a socket, and what the client at the other end has got. */
export class TestSocket implements SubscriberSocket {
  readonly sent: (string | Uint8Array)[] = [];
  closed: { code: number | undefined; reason: string | undefined } | undefined;
  isBroken = false;
  bufferedAmount = 0;
  #attachment: unknown;

  send(message: string | Uint8Array): void {
    if (this.isBroken || this.closed !== undefined) throw new TypeError("the socket is closed");
    this.sent.push(message);
  }

  close(code?: number, reason?: string): void {
    this.closed = { code, reason };
  }

  serializeAttachment(attachment: unknown): void {
    this.#attachment = structuredClone(attachment);
  }

  deserializeAttachment(): unknown {
    return structuredClone(this.#attachment);
  }

  frames(): DataFrame[] {
    return this.sent
      .filter((message) => typeof message !== "string")
      .map(decodeFrame)
      .filter((frame) => frame !== undefined);
  }

  messages(): ServerMessage[] {
    const messages: ServerMessage[] = [];
    for (const text of this.sent) {
      if (typeof text !== "string") continue;
      const message = parseServerMessage(text);
      if (message === undefined || isFailure(message)) throw new Error(`not a message: ${text}`);
      messages.push(message);
    }
    return messages;
  }

  recordMessages(): RecordsMessage[] {
    return this.messages().filter((message) => message.type === "records");
  }

  /** All values received, after checking that nothing is missing or repeated between frames. */
  values(from: number): string[] {
    const values: string[] = [];
    let position = from;
    for (const frame of this.frames()) {
      if (frame.from !== position) throw new Error(`a frame begins at ${frame.from}, not at ${position}`);
      for (const record of decodeBatches(frame.batches)) {
        if (record.offset >= frame.from && record.offset < frame.next) {
          values.push(decoder.decode(record.value ?? new Uint8Array()));
        }
      }
      position = frame.next;
    }
    return values;
  }

  /** What it got so far costs in credit. */
  batchBytes(): number {
    const binary = this.frames().reduce((total, { batches }) => total + batches.length, 0);
    return this.recordMessages().reduce((total, { bytes }) => total + bytes, binary);
  }
}

let partitions = 0;

export class TestSockets implements SubscriberSockets {
  readonly objectId = String(partitions++);
  readonly all: { kind: SocketKind; socket: TestSocket }[] = [];

  upgrade(kind: SocketKind): { socket: TestSocket; response: Response } {
    const socket = new TestSocket();
    this.all.push({ kind, socket });
    return { socket, response: new Response() };
  }

  open(kind: SocketKind): TestSocket[] {
    return this.all
      .filter((entry) => entry.kind === kind && entry.socket.closed === undefined)
      .map(({ socket }) => socket);
  }
}

/** Waits that end when the test says so. */
export class Waits {
  nowMs = 1_000_000;
  readonly #pending: { ms: number; end: () => void }[] = [];

  wait = (ms: number): Promise<void> =>
    new Promise((end) => {
      this.#pending.push({ ms, end });
    });

  now = (): number => this.nowMs;

  get isPending(): boolean {
    return this.#pending.length > 0;
  }

  /** Ends the waits that are pending now. */
  async pass(ms = 0): Promise<void> {
    this.nowMs += ms;
    for (const { end } of this.#pending.splice(0)) end();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Until nothing waits any more. */
  async settle(): Promise<void> {
    for (let turns = 0; this.isPending; turns++) {
      if (turns > 10_000) throw new Error("it never comes to rest");
      await this.pass();
    }
  }
}

export class Partition {
  readonly log = new MemoryLog();
  readonly sockets = new TestSockets();
  readonly waits = new Waits();
  readonly budget: UnsentBudget;
  subscribers: Subscribers;
  readonly #credited = new Map<TestSocket, number>();

  constructor(budget = new UnsentBudget(32 * 1024 * 1024)) {
    this.budget = budget;
    this.subscribers = this.#wake();
  }

  /** As after hibernation: a new instance, which has nothing but the sockets. */
  wake(): void {
    this.subscribers = this.#wake();
  }

  append(...values: string[]): void {
    this.log.append(values);
    this.subscribers.logEndMoved();
  }

  /** As a transaction of this producer; one at a time. */
  write(producerId: number, value: string): void {
    this.log.undecided ??= this.log.end;
    const record = { timestamp: 1_700_000_000_000, key: null, value: encoder.encode(value) };
    const producer = { producerId, producerEpoch: 0, baseSequence: 0, transactional: true };
    this.log.appendBatch(encodeBatch([record], producer), 1);
    this.subscribers.logEndMoved();
  }

  /** Ends it. */
  end(producerId: number, type: "abort" | "commit"): void {
    const { undecided: firstOffset } = this.log;
    if (firstOffset === undefined) throw new Error("no transaction is open");
    this.log.undecided = undefined;
    if (type === "abort") this.log.aborted.push({ producerId, firstOffset });
    this.log.appendBatch(encodeMarker({ producerId, producerEpoch: 0, type, timestampMs: 1 }), 1);
    this.subscribers.logEndMoved();
  }

  subscribe(subscription: Partial<LeaderSubscription> = {}): TestSocket {
    const response = this.request(subscription);
    const socket = this.sockets.all.at(-1)?.socket;
    if (!response.ok || socket === undefined) throw new Error(`refused with ${response.status}`);
    return socket;
  }

  request(subscription: Partial<LeaderSubscription>): Response {
    const wanted = {
      partition: 0,
      offset: "latest",
      creditBytes: 1024 * 1024,
      format: "binary",
      ...subscription,
    } as const;
    return this.subscribers.accept(leaderSubscribeRequest(wanted, 1));
  }

  credit(socket: TestSocket, bytes: number): void {
    this.subscribers.message(socket, encodeClientMessage({ type: "credit", bytes }));
  }

  /** Every socket credits what it got until nothing more comes. */
  async readAll(sockets: readonly TestSocket[]): Promise<void> {
    const credited = this.#credited;
    for (let moved = true; moved; ) {
      moved = false;
      for (const socket of sockets) {
        const bytes = socket.batchBytes() - (credited.get(socket) ?? 0);
        if (bytes === 0) continue;
        moved = true;
        credited.set(socket, socket.batchBytes());
        this.credit(socket, bytes);
      }
      await this.waits.pass();
    }
  }

  #wake(): Subscribers {
    const { wait, now } = this.waits;
    return new Subscribers(this.log, this.sockets, { budget: this.budget, wait, now });
  }
}
