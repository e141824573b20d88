/** Subscribers as they come to the Worker from outside: WebSockets and event streams. */

import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { decodeBatches } from "../../src/log/decode-batch.ts";
import { isFailure } from "../../src/model/errors.ts";
import { decodeFrame } from "../../src/subscribe/frame.ts";
import {
  type ClientMessage,
  encodeClientMessage,
  PONG,
  parseServerMessage,
  type ServerMessage,
} from "../../src/subscribe/protocol.ts";
import worker from "../../src/worker.ts";

const decoder = new TextDecoder();

export async function request(
  path: string,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<Response> {
  const init = signal === undefined ? { headers } : { headers, signal };
  const incoming = new Request<unknown, IncomingRequestCfProperties>(`http://localhost:8787${path}`, init);
  return worker.fetch(incoming, env, createExecutionContext());
}

export interface Received {
  readonly partition: number;
  readonly offset: number;
  readonly value: string;
}

/**
 * Keeps what it gets and checks that no data frame leaves a gap or repeats anything. Credits every frame at once if
 * `credits`.
 */
export class Subscriber {
  readonly records: Received[] = [];
  readonly messages: ServerMessage[] = [];
  /** Partition → position. */
  readonly positions = new Map<number, number>();
  readonly protocol: string | null;
  readonly socket: WebSocket;
  credits = true;
  /** Batch bytes of all data frames. */
  bytes = 0;
  dataFrames = 0;
  closed: { code: number; reason: string } | undefined;
  #changed: () => void = () => {};

  constructor(response: Response) {
    const { webSocket } = response;
    if (webSocket === null) throw new Error(`not upgraded: ${response.status}`);
    this.protocol = response.headers.get("sec-websocket-protocol");
    this.socket = webSocket;
    webSocket.binaryType = "arraybuffer";
    webSocket.addEventListener("message", ({ data }) => this.#received(data));
    webSocket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      this.#changed();
    });
    webSocket.accept();
  }

  static async open(path: string, subprotocol?: string): Promise<Subscriber> {
    const response = await request(path, {
      upgrade: "websocket",
      ...(subprotocol !== undefined && { "sec-websocket-protocol": subprotocol }),
    });
    if (response.webSocket === null) throw new Error(`${response.status} ${await response.text()}`);
    return new Subscriber(response);
  }

  send(message: ClientMessage): void {
    this.socket.send(encodeClientMessage(message));
  }

  get values(): string[] {
    return this.records.map(({ value }) => value);
  }

  valuesOf(partition: number): string[] {
    return this.records.filter((record) => record.partition === partition).map(({ value }) => value);
  }

  async until(done: (subscriber: this) => boolean): Promise<void> {
    while (!done(this)) {
      if (this.closed !== undefined) {
        throw new Error(`closed: ${JSON.stringify(this.closed)} ${JSON.stringify(this.messages.at(-1))}`);
      }
      await this.#change();
    }
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    for (;;) {
      if (this.closed !== undefined) return this.closed;
      await this.#change();
    }
  }

  close(): void {
    this.socket.close(1000);
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#changed = resolve;
    return promise;
  }

  #received(data: unknown): void {
    if (typeof data === "string") this.#message(data);
    else if (data instanceof ArrayBuffer) this.#frame(data);
    else throw new Error("neither text nor bytes");
    this.#changed();
  }

  #frame(data: ArrayBuffer): void {
    const frame = decodeFrame(data);
    if (frame === undefined) throw new Error("a frame of an unknown type");
    const { partition, from, next, batches } = frame;
    this.#position(partition, from, next);
    for (const { offset, value } of decodeBatches(batches)) {
      if (offset < from || offset >= next) continue;
      this.records.push({ partition, offset, value: decoder.decode(value ?? new Uint8Array()) });
    }
    this.#consumed(batches.length);
  }

  #message(text: string): void {
    if (text === PONG) return;
    const message = parseServerMessage(text);
    if (message === undefined || isFailure(message)) throw new Error(`not a message: ${text}`);
    if (message.type !== "records") {
      this.messages.push(message);
      return;
    }
    const { partition, from, next, records, bytes } = message;
    this.#position(partition, from, next);
    for (const { offset, value } of records) this.records.push({ partition, offset, value: String(value) });
    this.#consumed(bytes);
  }

  #position(partition: number, from: number, next: number): void {
    const position = this.positions.get(partition) ?? from;
    if (from !== position) throw new Error(`partition ${partition}: ${from} does not follow ${position}`);
    this.positions.set(partition, next);
    this.dataFrames++;
  }

  #consumed(bytes: number): void {
    this.bytes += bytes;
    if (this.credits) this.send({ type: "credit", bytes });
  }
}

export interface StreamEvent {
  readonly id: string | undefined;
  readonly message: ServerMessage;
}

/** Reads an event stream as `EventSource` does, event by event. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = "";

  constructor(response: Response) {
    if (response.body === null) throw new Error("the answer has no body");
    this.#reader = response.body.getReader();
  }

  /** undefined when the stream has ended. */
  async next(): Promise<StreamEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end).split("\n");
        this.#text = this.#text.slice(end + 2);
        const field = (name: string) => block.find((line) => line.startsWith(name))?.slice(name.length);
        const data = field("data: ");
        if (data === undefined) continue;
        const message = parseServerMessage(data);
        if (message === undefined || isFailure(message)) throw new Error(`not a message: ${data}`);
        return { id: field("id: "), message };
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += decoder.decode(value, { stream: true });
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
