/** One member's socket: what its attachment holds, so that a woken coordinator knows whose it is. */

import type { ConsumerMember } from "../consumer/consumer-member.ts";
import type { MemberSocket } from "./member-sockets.ts";

interface SocketState {
  /** Empty: nobody has joined over it yet. */
  readonly memberId: string;
  readonly clientHost: string;
  readonly openedAtMs: number;
  /** When its last message came; pings do not count. */
  readonly heardAtMs: number;
  /** It is being closed; the platform may still list it. */
  readonly isOver: boolean;
}

export class Connection {
  readonly socket: MemberSocket;
  /** The member as it has been told; undefined: nothing has been, the first message is `joined`. */
  told: ConsumerMember | undefined;
  /** Goes on with what it had. */
  resumes = false;
  /** The topics that it named. */
  topics: readonly string[] = [];
  isJoining = false;
  #state: SocketState;

  private constructor(socket: MemberSocket, state: SocketState) {
    this.socket = socket;
    this.#state = state;
  }

  static begin(socket: MemberSocket, clientHost: string, nowMs: number): Connection {
    const state = { memberId: "", clientHost, openedAtMs: nowMs, heardAtMs: nowMs, isOver: false };
    socket.serializeAttachment(state);
    return new Connection(socket, state);
  }

  /** A socket that was open when the coordinator hibernated; undefined if it is none of ours, or over. */
  static restore(socket: MemberSocket): Connection | undefined {
    const state: unknown = socket.deserializeAttachment();
    return isState(state) && !state.isOver ? new Connection(socket, state) : undefined;
  }

  get memberId(): string {
    return this.#state.memberId;
  }

  get clientHost(): string {
    return this.#state.clientHost;
  }

  get openedAtMs(): number {
    return this.#state.openedAtMs;
  }

  get heardAtMs(): number {
    return this.#state.heardAtMs;
  }

  heard(nowMs: number): void {
    this.#change({ heardAtMs: nowMs });
  }

  /** Whose socket it is from now on. */
  bind(memberId: string): void {
    this.#change({ memberId });
  }

  send(text: string): void {
    try {
      this.socket.send(text);
    } catch {
      // The member is gone, and the event that says so has not come yet.
    }
  }

  close(code: number, reason: string): void {
    this.#change({ isOver: true });
    try {
      this.socket.close(code, reason);
    } catch {
      // It was faster.
    }
  }

  #change(changes: Partial<SocketState>): void {
    this.#state = { ...this.#state, ...changes };
    this.socket.serializeAttachment(this.#state);
  }
}

function isState(value: unknown): value is SocketState {
  if (typeof value !== "object" || value === null) return false;
  const { memberId, clientHost, openedAtMs, heardAtMs, isOver }: { readonly [name: string]: unknown } = {
    ...value,
  };
  return (
    typeof memberId === "string" &&
    typeof clientHost === "string" &&
    typeof openedAtMs === "number" &&
    typeof heardAtMs === "number" &&
    typeof isOver === "boolean"
  );
}
