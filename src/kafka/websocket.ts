import type { Principal } from "../cluster/principals.ts";
import type { Env } from "../env.ts";
import { Brokers, type HostAndPort } from "./brokers.ts";
import { byteStreams } from "./byte-streams.ts";
import { serveKafka } from "./connection.ts";

export interface WebSocketClient {
  readonly env: Env;
  readonly principal: Principal;
  readonly clientHost: string;
  /** Where the clients behind the tunnel reach it: the brokers' addresses. */
  readonly advertised: readonly HostAndPort[];
  /** Which of them it has reached, where that is known. */
  readonly reachedId: number | undefined;
}

/** Serves the Kafka client behind a WebSocket until it leaves. */
export async function serveKafkaWebSocket(socket: WebSocket, client: WebSocketClient): Promise<void> {
  const { env, principal, clientHost, advertised, reachedId } = client;
  socket.binaryType = "arraybuffer";
  const { readable, writable } = byteStreams(socket);
  socket.accept();
  const brokers = new Brokers(advertised, reachedId);
  await serveKafka(readable, writable, { env, principal, clientHost, brokers });
}
