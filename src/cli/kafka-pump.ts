/** Carries the bytes of one Kafka connection between a stream and a WebSocket, no faster than each side takes them. */

import type { Duplex } from "node:stream";
import type { ByteStreams } from "../kafka/byte-streams.ts";

/**
 * Carries bytes both ways until both have ended. A client that ends its half ends the connection, as with a broker: a
 * WebSocket cannot be closed by halves. When the far end closes, the client still gets what had come until then.
 */
export async function pump(client: Duplex, far: ByteStreams): Promise<void> {
  client.once("close", far.close);
  if (client.destroyed) far.close();
  await Promise.all([clientToFar(client, far.writable), farToClient(far.readable, client)]);
}

async function clientToFar(client: Duplex, writable: WritableStream<Uint8Array>): Promise<void> {
  const writer = writable.getWriter();
  try {
    for await (const chunk of client.iterator({ destroyOnReturn: false })) await writer.write(chunk);
    await writer.close();
  } catch {
    // Either end has gone, which the other direction sees as well.
  }
}

async function farToClient(readable: ReadableStream<Uint8Array>, client: Duplex): Promise<void> {
  for await (const chunk of readable) {
    if (client.destroyed) break;
    if (!client.write(chunk)) await drained(client);
  }
  // Kafka's clients do not wait for an end that they have not asked for; whoever does would keep the socket.
  client.end(() => client.destroy());
}

function drained(client: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      client.off("drain", done).off("close", done);
      resolve();
    };
    client.on("drain", done).on("close", done);
  });
}
