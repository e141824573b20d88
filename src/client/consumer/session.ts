/** One connection of a subscription. */

import { EdgelogError, type Failure, isFailure } from "../../model/errors.ts";
import { type DataFrame, decodeFrame } from "../../subscribe/frame.ts";
import {
  BINARY_SUBPROTOCOL,
  CLOSE_RESUME,
  parseServerMessage,
  type ServerMessage,
} from "../../subscribe/protocol.ts";
import type { WebSocketConstructor } from "../platform.ts";
import { Connection, lost } from "./connection.ts";

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
  readonly #connection: Connection;
  #isToResume = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#connection = new Connection({
      ...options,
      subprotocol: BINARY_SUBPROTOCOL,
      onOpen: () => options.onOpen(this),
      onData: (data) => this.#receive(data),
    });
    this.ended = this.#connection.ended.then(({ opened, code, reason }) => ({
      opened,
      resume: this.#isToResume || code === CLOSE_RESUME,
      reason,
    }));
  }

  send(text: string): void {
    this.#connection.send(text);
  }

  /** Closes the connection, which is of no more use for this reason. */
  drop(reason: EdgelogError): void {
    this.#connection.drop(reason);
  }

  #receive(data: unknown): void {
    if (typeof data === "string") {
      this.#receiveText(data);
      return;
    }
    const frame = decodeFrame(bytesOf(data));
    if (frame !== undefined) this.#options.onFrame(frame);
  }

  #receiveText(text: string): void {
    const message: ServerMessage | undefined | Failure = parseServerMessage(text);
    if (message === undefined) return;
    if (isFailure(message)) throw EdgelogError.from(message);
    // The server closes the socket after these; that can take seconds to arrive.
    if (message.type === "error") this.drop(new EdgelogError(message.error.code, message.error.message));
    else if (message.type === "resume") {
      this.#isToResume = true;
      this.drop(lost(`the position ${message.offset} has moved to R2`));
    } else this.#options.onMessage(message);
  }
}

function bytesOf(data: unknown): ArrayBuffer | Uint8Array {
  if (data instanceof ArrayBuffer || data instanceof Uint8Array) return data;
  throw lost(
    `a binary message came as ${Object.prototype.toString.call(data)}; binaryType must be "arraybuffer"`,
  );
}
