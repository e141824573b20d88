/** The part of the platform that members with a socket use: hibernatable WebSockets. */

import { PING, PONG } from "../../../src/subscribe/protocol.ts";

/** The coordinator's end of a member's WebSocket; the platform's `WebSocket` has this shape. */
export interface MemberSocket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  /** Survives hibernation. At most 2 KiB when serialized. */
  serializeAttachment(attachment: unknown): void;
  deserializeAttachment(): unknown;
}

export interface OpenSocket {
  /** The same object as long as the coordinator has not hibernated. */
  readonly socket: MemberSocket;
  /** ms; when the platform last answered its ping for us. */
  readonly pingedAtMs: number | undefined;
}

export interface MemberSockets {
  /** A new socket that survives hibernation, and the answer that hands its other end to the member. */
  upgrade(subprotocol: string | undefined): { socket: MemberSocket; response: Response };
  /** Those that are open, and some that are about to be closed. */
  open(): OpenSocket[];
}

export function hibernatableMemberSockets(ctx: DurableObjectState): MemberSockets {
  let answersPings = false;
  return {
    upgrade(subprotocol) {
      if (!answersPings) {
        ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
        answersPings = true;
      }
      const { 0: client, 1: socket } = new WebSocketPair();
      ctx.acceptWebSocket(socket);
      const headers = new Headers();
      if (subprotocol !== undefined) headers.set("sec-websocket-protocol", subprotocol);
      return { socket, response: new Response(null, { status: 101, webSocket: client, headers }) };
    },
    open: () =>
      ctx.getWebSockets().map((socket) => ({
        socket,
        pingedAtMs: ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime(),
      })),
  };
}
