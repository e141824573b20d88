import type {
  MemberSocket,
  MemberSockets,
  OpenSocket,
} from "../../durable-objects/group/native/member-sockets.ts";

/** A WebSocket between a member and a coordinator that may be lost. It outlives the coordinator's sleep, not its death. */
export class SimulatedSocket {
  isOpen = true;
  /** Since then neither side hears the other any more, and neither has noticed. */
  deafSinceMs: number | undefined;
  attachment: unknown;
  onMessage: (text: string) => void = () => {};
  onClose: (code: number, reason: string) => void = () => {};

  get isDeaf(): boolean {
    return this.deafSinceMs !== undefined;
  }
}

/** The sockets of one object, as its lives have them one after another. */
export class SimulatedSockets {
  readonly #sockets = new Set<SimulatedSocket>();
  readonly #gate: (deliver: () => void) => void;
  readonly #now: () => number;
  #last: SimulatedSocket | undefined;

  /** `gate`: what is sent waits there until what was written before it is durable. */
  constructor(gate: (deliver: () => void) => void, now: () => number) {
    this.#gate = gate;
    this.#now = now;
  }

  /** The client's end of the socket that was accepted last. */
  get last(): SimulatedSocket {
    if (this.#last === undefined) throw new Error("no socket was accepted");
    return this.#last;
  }

  get size(): number {
    return this.#sockets.size;
  }

  remove(socket: SimulatedSocket): void {
    socket.isOpen = false;
    this.#sockets.delete(socket);
  }

  /** The process is gone, and every connection with it. */
  breakAll(): void {
    for (const socket of [...this.#sockets]) {
      const { isOpen } = socket;
      this.remove(socket);
      if (isOpen) socket.onClose(1006, "");
    }
  }

  /** As one life of the object has them; the dead send nothing. */
  forLife(isAlive: () => boolean): MemberSockets & { endOf(socket: SimulatedSocket): MemberSocket } {
    const ends = new Map<SimulatedSocket, MemberSocket>();
    const endOf = (socket: SimulatedSocket): MemberSocket => {
      const end = ends.get(socket) ?? this.#end(socket, isAlive);
      ends.set(socket, end);
      return end;
    };
    return {
      endOf,
      upgrade: () => {
        const socket = new SimulatedSocket();
        this.#sockets.add(socket);
        this.#last = socket;
        return { socket: endOf(socket), response: new Response() };
      },
      open: () =>
        [...this.#sockets].map(
          // Clients ping by themselves, whatever else they do or do not.
          (socket): OpenSocket => ({
            socket: endOf(socket),
            pingedAtMs: socket.deafSinceMs ?? this.#now(),
          }),
        ),
    };
  }

  #end(socket: SimulatedSocket, isAlive: () => boolean): MemberSocket {
    const whileAlive = (does: () => void) => {
      if (!isAlive()) throw new Error("the object is dead");
      does();
    };
    return {
      send: (text) =>
        whileAlive(() =>
          this.#gate(() => {
            if (socket.isOpen && !socket.isDeaf) socket.onMessage(text);
          }),
        ),
      close: (code = 1005, reason = "") =>
        whileAlive(() =>
          this.#gate(() => {
            const isHeard = socket.isOpen && !socket.isDeaf;
            this.remove(socket);
            if (isHeard) socket.onClose(code, reason);
          }),
        ),
      serializeAttachment: (attachment) =>
        whileAlive(() => {
          socket.attachment = structuredClone(attachment);
        }),
      deserializeAttachment: () => structuredClone(socket.attachment),
    };
  }
}
