/** The part of the platform that subscriptions use: hibernatable WebSockets. */

import { PING, PONG } from "../../src/subscribe/protocol.ts";

export type SocketKind = "notice" | "subscriber";

/** A server's end of a WebSocket; the platform's `WebSocket` has this shape. */
export interface SubscriberSocket {
  send(message: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  /** Survives hibernation. At most 2 KiB when serialized. */
  serializeAttachment(attachment: unknown): void;
  deserializeAttachment(): unknown;
  /** Bytes that the runtime has not taken yet. */
  readonly bufferedAmount: number;
}

export interface SubscriberSockets {
  /** Whose sockets they are; the same after hibernation. */
  readonly objectId: string;
  /** A new socket that survives hibernation, and the answer that hands its other end to the client. */
  upgrade(
    kind: SocketKind,
    subprotocol: string | undefined,
  ): { socket: SubscriberSocket; response: Response };
  /** Those that are open; the same objects as long as this object has not hibernated. */
  open(kind: SocketKind): SubscriberSocket[];
}

export function closeQuietly(socket: SubscriberSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed already.
  }
}

export function hibernatableSockets(ctx: DurableObjectState): SubscriberSockets {
  let answersPings = false;
  return {
    objectId: ctx.id.toString(),
    upgrade(kind, subprotocol) {
      if (!answersPings) {
        ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
        answersPings = true;
      }
      const { 0: client, 1: socket } = new WebSocketPair();
      ctx.acceptWebSocket(socket, [kind]);
      const headers = new Headers();
      if (subprotocol !== undefined) headers.set("sec-websocket-protocol", subprotocol);
      return { socket, response: new Response(null, { status: 101, webSocket: client, headers }) };
    },
    open: (kind) => ctx.getWebSockets(kind),
  };
}
