import type { Isolation } from "../model/isolation.ts";
import { leaderNoticesRequest, type Notice, parseNotice, readableEnd } from "../subscribe/leader-request.ts";
import type { PartitionStub } from "./partition-stubs.ts";

export type WatchEvent = "moved" | "closed" | "timeout" | "aborted";

/**
 * Learns when a partition's log end moves, over a notice socket: the leader sends the log's ends at once and then whenever
 * one moves, and may sleep in between. Nothing is missed between a read and the socket's opening, because the first
 * notice tells what has happened until then.
 */
export class LogEndWatch {
  readonly #socket: WebSocket;
  #last: Notice | undefined;
  #isClosed = false;
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const notice = parseNotice(data);
      if (notice === undefined) return;
      this.#last = notice;
      this.#wake();
    });
    const closed = () => {
      this.#isClosed = true;
      this.#wake();
    };
    socket.addEventListener("close", closed);
    socket.addEventListener("error", closed);
    // Only now do messages begin to arrive.
    socket.accept();
  }

  /** undefined if the partition takes no such socket, now. Throws as any call of a stub does. */
  static async open(leader: PartitionStub, topicVersion: number): Promise<LogEndWatch | undefined> {
    const { webSocket } = await leader.fetch(leaderNoticesRequest(topicVersion));
    return webSocket === null ? undefined : new LogEndWatch(webSocket);
  }

  /** Waits until what such a reader may read is known to end beyond `offset`. */
  async beyond(
    offset: number,
    isolation: Isolation,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<WatchEvent> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isLate = waitMs <= 0;
    const wake = () => this.#wake();
    if (!isLate) {
      timer = setTimeout(() => {
        isLate = true;
        wake();
      }, waitMs);
    }
    signal?.addEventListener("abort", wake);
    try {
      for (;;) {
        if (signal?.aborted) return "aborted";
        if (this.#last !== undefined && readableEnd(isolation, this.#last) > offset) return "moved";
        if (this.#isClosed) return "closed";
        if (isLate) return "timeout";
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close(1000, "done");
  }
}
