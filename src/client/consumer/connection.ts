/** One WebSocket, from its handshake to its end: opened in time, pinged, and every way to lose it as one error. */

import { EdgelogError, isErrorName } from "../../model/errors.ts";
import { PING } from "../../subscribe/protocol.ts";
import type { WebSocketConstructor, WebSocketLike } from "../platform.ts";
import { withResolvers } from "../promises.ts";
import { property } from "../transport.ts";

export interface ConnectionOptions {
  readonly url: string;
  readonly subprotocol: string;
  readonly WebSocket: WebSocketConstructor;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  onOpen(): void;
  /** Text is a string, bytes are an ArrayBuffer or a Uint8Array. Throws what makes the connection worthless. */
  onData(data: unknown): void;
}

/** How a connection ended. */
export interface ConnectionEnd {
  /** The handshake had succeeded. */
  readonly opened: boolean;
  /** With which the socket was closed; undefined if it was not. */
  readonly code: number | undefined;
  readonly reason: EdgelogError;
}

export class Connection {
  /** Never rejects. */
  readonly ended: Promise<ConnectionEnd>;
  readonly #options: ConnectionOptions;
  readonly #socket: WebSocketLike;
  readonly #resolve: (end: ConnectionEnd) => void;
  readonly #connectTimer: ReturnType<typeof setTimeout>;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #opened = false;
  #isEnded = false;
  #heardMs = Date.now();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { promise, resolve } = withResolvers<ConnectionEnd>();
    this.ended = promise;
    this.#resolve = resolve;
    const socket = new options.WebSocket(options.url, [options.subprotocol]);
    this.#socket = socket;
    // Not in every platform's type, and in some the default is Blob, which can only be read out of turn.
    Reflect.set(socket, "binaryType", "arraybuffer");
    this.#connectTimer = setTimeout(
      () => this.drop(lost(`the WebSocket did not open in ${options.connectTimeoutMs} ms`)),
      options.connectTimeoutMs,
    );
    socket.addEventListener("open", () => this.#open());
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("close", ({ code, reason }) => this.#end(closeReason(code, reason), code));
    // A close that follows it says nothing more, and not every platform sends one.
    socket.addEventListener("error", (event) => this.#end(lost(errorText(event))));
  }

  send(text: string): void {
    if (!this.#isEnded && this.#opened) this.#socket.send(text);
  }

  /** Closes the connection, which is of no more use for this reason. */
  drop(reason: EdgelogError): void {
    this.#end(reason);
    try {
      this.#socket.close(1000);
    } catch {
      // Some platforms refuse to close what is still opening; it is forgotten all the same.
    }
  }

  #open(): void {
    if (this.#isEnded) return;
    this.#opened = true;
    this.#heardMs = Date.now();
    clearTimeout(this.#connectTimer);
    this.#pingTimer = setInterval(() => this.#ping(), this.#options.pingIntervalMs);
    this.#options.onOpen();
  }

  #ping(): void {
    const silentMs = Date.now() - this.#heardMs;
    const { pingIntervalMs } = this.#options;
    if (silentMs >= 2 * pingIntervalMs)
      this.drop(lost(`nothing was heard for ${silentMs} ms, not even a pong`));
    else if (silentMs >= pingIntervalMs / 2) this.send(PING);
  }

  #receive(data: unknown): void {
    if (this.#isEnded) return;
    this.#heardMs = Date.now();
    try {
      this.#options.onData(data);
    } catch (error) {
      this.drop(error instanceof EdgelogError ? error : lost(String(error)));
    }
  }

  #end(reason: EdgelogError, code?: number): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearTimeout(this.#connectTimer);
    clearInterval(this.#pingTimer);
    this.#resolve({ opened: this.#opened, code, reason });
  }
}

export function lost(message: string): EdgelogError {
  return new EdgelogError("NETWORK_EXCEPTION", message);
}

function closeReason(code: number, reason: string): EdgelogError {
  if (isErrorName(reason)) return new EdgelogError(reason);
  return lost(`the WebSocket was closed with code ${code}${reason === "" ? "" : ` (${reason})`}`);
}

function errorText(event: object): string {
  const message = property(event, "message") || property(property(event, "error"), "message");
  return `the WebSocket failed${typeof message === "string" && message !== "" ? `: ${message}` : ""}`;
}
