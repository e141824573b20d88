/** The Worker's end of a socket to a leader: what came, in order, waiting to be taken. */

import { EdgelogError, type Failure, isFailure } from "../model/errors.ts";
import { BRIDGE_QUEUED_BYTES_MAX } from "../model/limits.ts";
import { type DataFrame, decodeFrame } from "./frame.ts";
import { type ErrorMessage, encodeClientMessage, parseServerMessage } from "./protocol.ts";

export type LeaderEvent =
  | { readonly kind: "frame"; readonly frame: DataFrame }
  | { readonly kind: "caught_up"; readonly next: number; readonly highWatermark: number }
  /** Nothing comes after it. With `error`, the leader said why. */
  | { readonly kind: "closed"; readonly code: number; readonly error?: ErrorMessage };

/** Bytes that all sockets of this isolate have received and that were not taken yet. */
let queuedBytes = 0;

export class LeaderSocket {
  readonly #socket: WebSocket;
  readonly #events: LeaderEvent[] = [];
  #bytes = 0;
  #error: ErrorMessage | undefined;
  #isClosed = false;
  #wake: () => void = () => {};

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#received(data));
    socket.addEventListener("close", ({ code }) => this.#closed(code));
    socket.addEventListener("error", () => this.#closed(1006));
    // Only now do messages begin to arrive.
    socket.accept();
  }

  /** What came next. After "closed" it must not be asked again. */
  async next(): Promise<LeaderEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) {
        if (event.kind === "frame") this.#queued(-event.frame.batches.length);
        return event;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  credit(bytes: number): void {
    if (!this.#isClosed && bytes > 0) this.#socket.send(encodeClientMessage({ type: "credit", bytes }));
  }

  /** What has come and was not taken is dropped; {@link next} answers "closed". */
  close(): void {
    this.#events.length = 0;
    this.#queued(-this.#bytes);
    this.#hangUp(1000);
  }

  #received(data: unknown): void {
    if (this.#isClosed) return;
    try {
      if (typeof data === "string") this.#message(data);
      else if (data instanceof ArrayBuffer) this.#frame(data);
    } catch (error) {
      console.error(`a leader sent what is no frame: ${String(error)}`);
      this.#hangUp(1002);
    }
  }

  #message(text: string): void {
    const message: ReturnType<typeof parseServerMessage> = parseServerMessage(text);
    if (message === undefined) return;
    if (isFailure(message)) throw EdgelogError.from(message satisfies Failure);
    if (message.type === "caught_up") {
      this.#push({ kind: "caught_up", next: message.next, highWatermark: message.high_watermark });
    }
    if (message.type === "error") this.#error = message;
    // credit_due: whatever was taken has been credited at once.
  }

  #frame(data: ArrayBuffer): void {
    const frame = decodeFrame(data);
    if (frame === undefined) return;
    // Credit bounds what comes, but for one batch per partition, and there may be thousands of those. A frame that is not
    // kept is read again later, from the position before it.
    if (this.#events.length > 0 && queuedBytes + frame.batches.length > BRIDGE_QUEUED_BYTES_MAX) {
      this.#hangUp(1013);
      return;
    }
    this.#queued(frame.batches.length);
    this.#push({ kind: "frame", frame });
  }

  #queued(bytes: number): void {
    this.#bytes += bytes;
    queuedBytes += bytes;
  }

  #hangUp(code: number): void {
    if (this.#isClosed) return;
    this.#closed(code);
    try {
      this.#socket.close(1000);
    } catch {
      // It is closed already.
    }
  }

  #closed(code: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#push({ kind: "closed", code, ...(this.#error !== undefined && { error: this.#error }) });
  }

  #push(event: LeaderEvent): void {
    this.#events.push(event);
    this.#wake();
  }
}
