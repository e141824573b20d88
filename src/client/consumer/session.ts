/** One WebSocket, from its handshake to its end. */

import { EdgelogError, type Failure, isErrorName, isFailure } from "../../model/errors.ts";
import { type DataFrame, decodeFrame } from "../../subscribe/frame.ts";
import {
  BINARY_SUBPROTOCOL,
  CLOSE_RESUME,
  PING,
  parseServerMessage,
  type ServerMessage,
} from "../../subscribe/protocol.ts";
import type { WebSocketConstructor, WebSocketLike } from "../platform.ts";
import { property } from "../transport.ts";

export interface SessionOptions {
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  onOpen(session: Session): void;
  /** Throws what makes the connection worthless. */
  onFrame(frame: DataFrame): void;
  onMessage(message: ServerMessage): void;
}

/** How a session ended. */
export interface SessionEnd {
  /** The handshake had succeeded. */
  readonly opened: boolean;
  /** The leader asks to come again at once, to be served from R2. */
  readonly resume: boolean;
  readonly reason: EdgelogError;
}

export class Session {
  /** Never rejects. */
  readonly ended: Promise<SessionEnd>;
  readonly #options: SessionOptions;
  readonly #socket: WebSocketLike;
  readonly #resolve: (end: SessionEnd) => void;
  readonly #connectTimer: ReturnType<typeof setTimeout>;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #opened = false;
  #isEnded = false;
  #heardMs = Date.now();

  constructor(options: SessionOptions) {
    this.#options = options;
    const { promise, resolve } = withResolvers<SessionEnd>();
    this.ended = promise;
    this.#resolve = resolve;
    const socket = new options.WebSocket(options.url, [BINARY_SUBPROTOCOL]);
    this.#socket = socket;
    // Not in every platform's type, and in some the default is Blob, which can only be read out of turn.
    Reflect.set(socket, "binaryType", "arraybuffer");
    this.#connectTimer = setTimeout(
      () => this.drop(lost(`the WebSocket did not open in ${options.connectTimeoutMs} ms`)),
      options.connectTimeoutMs,
    );
    socket.addEventListener("open", () => this.#open());
    socket.addEventListener("message", ({ data }) => this.#receive(data));
    socket.addEventListener("close", ({ code, reason }) =>
      this.#end(closeReason(code, reason), code === CLOSE_RESUME),
    );
    // A close that follows it says nothing more, and not every platform sends one.
    socket.addEventListener("error", (event) => this.#end(lost(errorText(event))));
  }

  send(text: string): void {
    if (!this.#isEnded && this.#opened) this.#socket.send(text);
  }

  /** Closes the connection, which is of no more use for this reason. */
  drop(reason: EdgelogError, resume = false): void {
    this.#end(reason, resume);
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
    this.#options.onOpen(this);
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
      if (typeof data === "string") this.#receiveText(data);
      else {
        const frame = decodeFrame(bytesOf(data));
        if (frame !== undefined) this.#options.onFrame(frame);
      }
    } catch (error) {
      this.drop(error instanceof EdgelogError ? error : lost(String(error)));
    }
  }

  #receiveText(text: string): void {
    const message: ServerMessage | undefined | Failure = parseServerMessage(text);
    if (message === undefined) return;
    if (isFailure(message)) throw EdgelogError.from(message);
    // The server closes the socket after these; that can take seconds to arrive.
    if (message.type === "error") this.drop(new EdgelogError(message.error.code, message.error.message));
    else if (message.type === "resume")
      this.drop(lost(`the position ${message.offset} has moved to R2`), true);
    else this.#options.onMessage(message);
  }

  #end(reason: EdgelogError, resume = false): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearTimeout(this.#connectTimer);
    clearInterval(this.#pingTimer);
    this.#resolve({ opened: this.#opened, resume, reason });
  }
}

function closeReason(code: number, reason: string): EdgelogError {
  if (isErrorName(reason)) return new EdgelogError(reason);
  return lost(`the WebSocket was closed with code ${code}${reason === "" ? "" : ` (${reason})`}`);
}

function lost(message: string): EdgelogError {
  return new EdgelogError("NETWORK_EXCEPTION", message);
}

function bytesOf(data: unknown): ArrayBuffer | Uint8Array {
  if (data instanceof ArrayBuffer || data instanceof Uint8Array) return data;
  throw lost(
    `a binary message came as ${Object.prototype.toString.call(data)}; binaryType must be "arraybuffer"`,
  );
}

function errorText(event: object): string {
  const message = property(event, "message") || property(property(event, "error"), "message");
  return `the WebSocket failed${typeof message === "string" && message !== "" ? `: ${message}` : ""}`;
}

/** Promise.withResolvers is too young for Node 20. */
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
