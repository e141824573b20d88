import type { Isolation } from "../model/isolation.ts";
import { leaderNoticesRequest, type Notice, parseNotice, readableEnd } from "../subscribe/leader-request.ts";
import type { PartitionStub } from "./partition-stubs.ts";

/**
 * What a partition's leader says of where its log begins and ends: at once, and then whenever one of them moves. In between
 * it may sleep. Nothing is missed between a read and the socket's opening, because the first notice tells what has happened
 * until then.
 */
export class NoticeSocket {
  readonly openedMs = Date.now();
  /** Called when there is a notice, and when the socket closes. */
  onChange: () => void = () => {};
  readonly #socket: WebSocket;
  #last: Notice | undefined;
  #isOpen = true;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const notice = parseNotice(data);
      if (notice === undefined) return;
      this.#last = notice;
      this.onChange();
    });
    const closed = () => {
      this.#isOpen = false;
      this.onChange();
    };
    socket.addEventListener("close", closed);
    socket.addEventListener("error", closed);
    // Only now do messages begin to arrive.
    socket.accept();
  }

  /** undefined if the partition takes no such socket, now. Throws as any call of a stub does. */
  static async open(leader: PartitionStub, topicVersion: number): Promise<NoticeSocket | undefined> {
    const { webSocket } = await leader.fetch(leaderNoticesRequest(topicVersion));
    return webSocket === null ? undefined : new NoticeSocket(webSocket);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** undefined until the first notice is here. */
  get last(): Notice | undefined {
    return this.#last;
  }

  /** Where what such a reader may read ends; undefined until the first notice is here. */
  readableEnd(isolation: Isolation): number | undefined {
    return this.#last === undefined ? undefined : readableEnd(isolation, this.#last);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.close(1000, "done");
  }
}
