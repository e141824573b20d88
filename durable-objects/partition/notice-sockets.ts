/** The sockets on which a Worker waits: they are told where the log begins and ends, at once and whenever that changes. */

import type { Failure } from "../../src/model/errors.ts";
import { formatNotice } from "../../src/subscribe/leader-request.ts";
import { closeCodeOf } from "../../src/subscribe/protocol.ts";
import type { SubscriberLog } from "./subscriber-log.ts";
import { closeQuietly, type SubscriberSocket, type SubscriberSockets } from "./subscriber-sockets.ts";

export class NoticeSockets {
  readonly #log: SubscriberLog;
  readonly #sockets: SubscriberSockets;
  #open: Set<SubscriberSocket> | undefined;

  constructor(log: SubscriberLog, sockets: SubscriberSockets) {
    this.#log = log;
    this.#sockets = sockets;
  }

  get size(): number {
    return this.#known().size;
  }

  accept(): Response {
    const { socket, response } = this.#sockets.upgrade("notice", undefined);
    this.#known().add(socket);
    this.#tell(socket);
    return response;
  }

  tellAll(): void {
    for (const socket of this.#known()) this.#tell(socket);
  }

  forget(socket: SubscriberSocket): void {
    this.#known().delete(socket);
  }

  closeAll(reason: Failure): void {
    for (const socket of this.#known()) closeQuietly(socket, closeCodeOf(reason.error), reason.error);
    this.#known().clear();
  }

  #tell(socket: SubscriberSocket): void {
    try {
      socket.send(
        formatNotice({
          logStartOffset: this.#log.logStartOffset(),
          logEndOffset: this.#log.logEndOffset(),
          lastStableOffset: this.#log.lastStableOffset(),
        }),
      );
    } catch {
      // The other end is gone, and the event that says so has not come yet.
      this.#known().delete(socket);
    }
  }

  /** Also after hibernation. */
  #known(): Set<SubscriberSocket> {
    this.#open ??= new Set(this.#sockets.open("notice"));
    return this.#open;
  }
}
