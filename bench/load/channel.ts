/** Two ways for the same bytes: TCP, and the messages of a WebSocket. */

import { connect, type Socket } from "node:net";
import { WebSocket } from "ws";
import { byteStreams, KAFKA_SUBPROTOCOL } from "../../src/kafka/byte-streams.ts";

export interface Channel {
  send(bytes: Uint8Array): void;
  /** Called with whatever comes, and once without anything at the end. */
  onData(listener: (chunk: Uint8Array | undefined) => void): void;
  close(): void;
}

/** @param address `host:port` */
export async function tcpChannel(address: string): Promise<Channel> {
  const socket = await connectTcp(address);
  return {
    send: (bytes) => void socket.write(bytes),
    onData(listener) {
      socket.on("data", listener);
      socket.on("close", () => listener(undefined));
    },
    close: () => socket.destroy(),
  };
}

/** @param url `http://host:port` of Edgelog */
export async function webSocketChannel(url: string): Promise<Channel> {
  const socket = new WebSocket(
    `${url.replace("http", "ws")}/kafka?advertised=127.0.0.1:9092`,
    [KAFKA_SUBPROTOCOL],
    {
      perMessageDeflate: false,
    },
  );
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  const { readable, writable, close } = byteStreams({
    send: (data) => socket.send(data),
    close: (code, reason) => socket.close(code, reason),
    addEventListener: (type: "message" | "close" | "error", listener: (event: { data: unknown }) => void) =>
      socket.addEventListener(type, listener as () => void),
  });
  const writer = writable.getWriter();
  return {
    send: (bytes) => void writer.write(bytes).catch(() => undefined),
    onData(listener) {
      (async () => {
        for await (const chunk of readable) listener(chunk);
      })()
        .catch(() => undefined)
        .finally(() => listener(undefined));
    },
    close,
  };
}

export async function connectTcp(address: string): Promise<Socket> {
  const at = address.lastIndexOf(":");
  const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => undefined);
  return socket;
}
