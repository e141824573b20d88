/** The Kafka protocol's bytes in the messages of a WebSocket; the same at both ends. docs/kafka.md has the rules. */

import { KAFKA_WEBSOCKET_WINDOW_BYTES } from "../model/limits.ts";
import { parseDigits } from "../subscribe/position.ts";

/** The WebSocket's subprotocol, which a client may offer. */
export const KAFKA_SUBPROTOCOL = "edgelog.kafka.v1";

const MESSAGE_BYTES_MAX = 256 * 1024;
/** How much is read before the other side is told: often enough that it never has to wait. */
const ACKNOWLEDGED_BYTES = KAFKA_WEBSOCKET_WINDOW_BYTES / 4;
const POLICY_VIOLATION = 1008;

/** What is needed of a WebSocket, in a Worker or elsewhere. */
export interface MessageSocket {
  send(data: string | Uint8Array): void;
  close(code: number, reason: string): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: "close" | "error", listener: () => void): void;
}

export interface ByteStreams {
  /** Ends when the WebSocket does, after what had come until then. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Closing it closes the WebSocket, which cannot be closed by halves. */
  readonly writable: WritableStream<Uint8Array>;
  /** Closes the WebSocket at once, even while a write waits. */
  close(): void;
}

/**
 * A WebSocket as two streams of bytes. Binary messages carry the bytes, cut anywhere; a text message tells, in decimal
 * digits, how many bytes its sender has read so far. Neither side sends more than KAFKA_WEBSOCKET_WINDOW_BYTES beyond what
 * the other has told: a WebSocket by itself would buffer without end.
 *
 * @param socket open, its `binaryType` "arraybuffer"
 * @param violation the code that closes it when the other side breaks these rules
 */
export function byteStreams(socket: MessageSocket, violation: number = POLICY_VIOLATION): ByteStreams {
  const inbox = new Inbox((total) => socket.send(String(total)));
  const credit = new Credit();
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") {
      const total = parseDigits(data);
      if (total === undefined || !credit.acknowledge(total))
        fail("a text message tells how many bytes were read");
    } else if (!(data instanceof ArrayBuffer)) {
      fail("a message is neither text nor an ArrayBuffer");
    } else if (!inbox.add(new Uint8Array(data))) {
      fail(`more than ${KAFKA_WEBSOCKET_WINDOW_BYTES} bytes were sent before they were acknowledged`);
    }
  });
  const end = () => {
    inbox.end();
    credit.end();
  };
  const fail = (reason: string) => {
    socket.close(violation, reason);
    end();
  };
  socket.addEventListener("close", end);
  socket.addEventListener("error", end);
  const close = () => {
    end();
    socket.close(1000, "done");
  };
  return {
    readable: new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const chunk = await inbox.next();
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
        cancel: close,
      },
      { highWaterMark: 0 },
    ),
    writable: new WritableStream<Uint8Array>({
      async write(bytes) {
        for (let at = 0; at < bytes.length; at += MESSAGE_BYTES_MAX) {
          const message = bytes.subarray(at, at + MESSAGE_BYTES_MAX);
          await credit.spend(message.length);
          socket.send(message);
        }
      },
      close,
      abort: close,
    }),
    close,
  };
}

/** What has come and is not read yet: at most a window of it. */
class Inbox {
  readonly #acknowledge: (total: number) => void;
  readonly #chunks: Uint8Array[] = [];
  #received = 0;
  #read = 0;
  #acknowledged = 0;
  #hasEnded = false;
  readonly #changed = new Change();

  constructor(acknowledge: (total: number) => void) {
    this.#acknowledge = acknowledge;
  }

  /** False if it is more than the window allows. */
  add(chunk: Uint8Array): boolean {
    this.#received += chunk.length;
    if (this.#received - this.#acknowledged > KAFKA_WEBSOCKET_WINDOW_BYTES) return false;
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#changed.happened();
    return true;
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#read += chunk.length;
        if (this.#read - this.#acknowledged >= ACKNOWLEDGED_BYTES && !this.#hasEnded) {
          this.#acknowledged = this.#read;
          this.#acknowledge(this.#read);
        }
        return chunk;
      }
      if (this.#hasEnded) return undefined;
      await this.#changed.next();
    }
  }

  end(): void {
    this.#hasEnded = true;
    this.#changed.happened();
  }
}

/** What may still be sent. */
class Credit {
  #sent = 0;
  #acknowledged = 0;
  #hasEnded = false;
  readonly #changed = new Change();

  /** False if the other side says to have read what it was not sent. */
  acknowledge(total: number): boolean {
    if (total > this.#sent) return false;
    this.#acknowledged = Math.max(this.#acknowledged, total);
    this.#changed.happened();
    return true;
  }

  /** Waits until so many more bytes fit into the window. */
  async spend(bytes: number): Promise<void> {
    while (this.#sent + bytes - this.#acknowledged > KAFKA_WEBSOCKET_WINDOW_BYTES && !this.#hasEnded) {
      await this.#changed.next();
    }
    if (this.#hasEnded) throw new Error("the WebSocket is closed");
    this.#sent += bytes;
  }

  end(): void {
    this.#hasEnded = true;
    this.#changed.happened();
  }
}

/** Wakes whoever waits for it. (Promise.withResolvers is not in Node 20, on which the tunnel runs too.) */
class Change {
  readonly #waiting: (() => void)[] = [];

  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  happened(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
