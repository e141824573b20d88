/** A WebSocket that ends in a Durable Object and outlives its hibernation. Messages keep their order, both ways. */

import { NETWORK_MS_MAX } from "./faults.ts";
import { type Instance, SimulatedFault } from "./instance.ts";
import type { ObjectHost } from "./object-host.ts";

export type SocketData = string | Uint8Array;

export interface SocketClient {
  message(data: SocketData): void;
  closed(code: number, reason: string): void;
}

type ToClient = { readonly data: SocketData } | { readonly code: number; readonly reason: string };

const ABNORMAL_CLOSURE = 1006;

/** The end that the client holds. */
export class Connection {
  readonly #host: ObjectHost;
  #client: SocketClient | undefined;
  #isOver = false;
  /** Sent before the client listened. */
  #early: ToClient[] = [];
  readonly #toClient: ToClient[] = [];
  readonly #toServer: (string | undefined)[] = [];
  #serverEnd: ServerEnd | undefined;
  attachment: unknown;
  tag = "";

  constructor(host: ObjectHost) {
    this.#host = host;
  }

  /** The same one as long as the instance is. */
  serverEnd(instance: Instance): ServerEnd {
    if (this.#serverEnd?.instance !== instance) this.#serverEnd = new ServerEnd(this, instance);
    return this.#serverEnd;
  }

  get isOpen(): boolean {
    return this.#host.connections.has(this);
  }

  // ── the client's side ──────────────────────────────────────────────────────────────────────────────────────────────

  listen(client: SocketClient): void {
    this.#client = client;
    for (const message of this.#early.splice(0)) this.#arrive(message);
  }

  send(data: string): void {
    this.#sendToServer(data);
  }

  close(): void {
    this.#isOver = true;
    this.#sendToServer(undefined);
  }

  #sendToServer(data: string | undefined): void {
    this.#toServer.push(data);
    this.#later(() => {
      const next = this.#toServer.shift();
      if (next === undefined) this.#host.socketClosed(this);
      else this.#host.socketMessage(this, next);
    });
  }

  // ── the server's side ──────────────────────────────────────────────────────────────────────────────────────────────

  toClient(message: ToClient): void {
    this.#toClient.push(message);
    this.#later(() => {
      const next = this.#toClient.shift();
      if (next !== undefined) this.#arrive(next);
    });
  }

  closedByServer(instance: Instance, code: number, reason: string): void {
    if (!this.#host.connections.delete(this)) throw new SimulatedFault("the socket is closed");
    instance.output(() => this.toClient({ code, reason }));
  }

  /** The object is gone. */
  lost(): void {
    this.toClient({ code: ABNORMAL_CLOSURE, reason: "" });
  }

  #arrive(message: ToClient): void {
    if (this.#isOver) return;
    if (this.#client === undefined) this.#early.push(message);
    else if ("data" in message) this.#client.message(message.data);
    else {
      this.#isOver = true;
      this.#client.closed(message.code, message.reason);
    }
  }

  #later(run: () => void): void {
    const { scheduler, random } = this.#host.platform;
    scheduler.after(random.next() * NETWORK_MS_MAX, run);
  }
}

/** What the object holds of it. */
export class ServerEnd {
  readonly connection: Connection;
  readonly instance: Instance;
  readonly bufferedAmount = 0;

  constructor(connection: Connection, instance: Instance) {
    this.connection = connection;
    this.instance = instance;
  }

  send(data: SocketData): void {
    const { connection, instance } = this;
    if (!connection.isOpen || !instance.isAlive) throw new SimulatedFault("the socket is closed");
    const copy = typeof data === "string" ? data : data.slice();
    instance.output(() => connection.toClient({ data: copy }));
  }

  close(code = 1000, reason = ""): void {
    this.connection.closedByServer(this.instance, code, reason);
  }

  serializeAttachment(attachment: unknown): void {
    this.connection.attachment = structuredClone(attachment);
  }

  deserializeAttachment(): unknown {
    return structuredClone(this.connection.attachment);
  }
}
