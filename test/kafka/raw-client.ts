import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { HostAndPort } from "../../src/kafka/brokers.ts";
import { decodeResponse, encodeRequest, LENGTH_PREFIX_BYTES } from "../../src/kafka/frame.ts";
import type { Api, FieldsRead, FieldsWritten } from "../../src/kafka/schema.ts";
import { concatBytes } from "../../src/model/bytes.ts";

/** A Kafka client that does what it is told and nothing else: one request, one response, byte by byte if need be. */
export class RawClient {
  readonly #socket: Socket;
  readonly #frames: Uint8Array[] = [];
  #received = Buffer.alloc(0);
  #isClosed = false;
  #changed = Promise.withResolvers<void>();
  #correlationId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#cut();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  static async connect({ host, port }: HostAndPort): Promise<RawClient> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, "connect");
    return new RawClient(socket);
  }

  /** Sends a request and waits for the response to it. */
  async ask<A extends Api>(
    api: A,
    version: number,
    request: FieldsWritten<A["request"]["fields"]>,
  ): Promise<FieldsRead<A["response"]["fields"]>> {
    const correlationId = this.send(api, version, request);
    return this.receive(api, version, correlationId);
  }

  /** Returns the correlation id. */
  send<A extends Api>(api: A, version: number, request: FieldsWritten<A["request"]["fields"]>): number {
    const correlationId = ++this.#correlationId;
    this.sendBytes(concatBytes(encodeRequest(api, version, { correlationId, clientId: "raw" }, request)));
    return correlationId;
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** The next response, which must be that to the request with this correlation id. */
  async receive<A extends Api>(
    api: A,
    version: number,
    correlationId: number,
  ): Promise<FieldsRead<A["response"]["fields"]>> {
    const answer = decodeResponse(api, version, await this.frame());
    if (answer.correlationId !== correlationId) {
      throw new Error(`the response to ${answer.correlationId} came, not that to ${correlationId}`);
    }
    return answer.response;
  }

  /** The next frame, without its length. */
  async frame(): Promise<Uint8Array> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.#isClosed) throw new Error("the connection is closed");
      await this.#changed.promise;
    }
  }

  /** Resolves when the other side has closed the connection; the number of frames that came before. */
  async closed(): Promise<number> {
    while (!this.#isClosed) await this.#changed.promise;
    return this.#frames.length;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The frames that have come and were not taken. */
  frames(): readonly Uint8Array[] {
    return this.#frames;
  }

  /** Sends nothing more; what was asked may still be answered. */
  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** As when its process is killed: what was sent may be lost, and the other side finds the connection reset. */
  kill(): void {
    this.#socket.resetAndDestroy();
  }

  /** Takes nothing more of what the other side sends. */
  pause(): void {
    this.#socket.pause();
  }

  #cut(): void {
    while (this.#received.length >= LENGTH_PREFIX_BYTES) {
      const end = LENGTH_PREFIX_BYTES + this.#received.readInt32BE(0);
      if (this.#received.length < end) break;
      this.#frames.push(new Uint8Array(this.#received.subarray(LENGTH_PREFIX_BYTES, end)));
      this.#received = this.#received.subarray(end);
    }
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
